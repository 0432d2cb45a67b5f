"""What the page of a model's own DAG says, in plain words."""

from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.declaration.gates import Gate
from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.serving import LiveGates, RehearsalGates
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import format_duration
from understudy.contract.errors import SpecProblem
from understudy.contract.metrics import METRICS
from understudy.contract.words import CanaryMode, Watched
from understudy.hooks.alerting.pages import runbooks_page

WATCHED_IN_WORDS = {
    Watched.GATEWAY: "the requests that gateways answered",
    Watched.SCORED: "the rows that a batch job scored",
    Watched.DATA: "the new rows of the source",
}


def retraining_page(spec: ModelSpec) -> str:
    """Explain one model's retraining: what it does, what the gates ask for, what to do when it is red."""
    gates = "\n".join(f"- {gate_in_words(gate)}" for gate in spec.gates)
    beats = " and ".join(f"the {name} model" for name in spec.evaluate.must_beat)
    slices = (
        f"\n- no part of the data by {', '.join(spec.evaluate.slices)} may become provably worse"
        if spec.evaluate.slices
        else ""
    )
    window = f"the last {format_duration(spec.data.window)}" if spec.data.window else "everything"
    own = f"\n\nRunbook of the team: {spec.runbook}" if spec.runbook else ""
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(_steps(spec, window), start=1))
    return f"""
### Retrain `{spec.model}`

{spec.description or "No description in model.yaml."} Owner: **{spec.owner}**.

{steps}

**Gates**

{gates}{f"{chr(10)}- better than {beats}" if beats else ""}{slices}

**When it is red**: open *outcome*; it says in one sentence whether data or a promotion were refused or a task broke.
Pink tasks with a red outcome are a refusal of the data, not a crash.{_taken_back(spec)}
To take the champion back, run the DAG `rollback`. What to do about each alert: {runbooks_page()}{own}
"""


def monitoring_page(spec: ModelSpec, monitor: MonitorSpec, watched: Watched) -> str:
    """Explain how one model is watched, what makes a retraining due, and what to do when it is red."""
    retrain = spec.retrain
    reasons = [
        f"drift in {monitor.looks} looks in a row: columns with {monitor.drift_share:.0%} of the importance moved"
        if retrain.drift
        else "",
        f"a loss that provably rose by more than {monitor.min_loss:g}" if retrain.quality else "",
        f"{retrain.new_labels:,} new labelled rows" if retrain.new_labels else "",
        f"a champion that is older than {format_duration(retrain.max_age)}" if retrain.max_age else "",
    ]
    due = "\n".join(f"- {reason}" for reason in reasons if reason) or "- nothing: every reason is switched off"
    taken_back = (
        f" Quality that is lost within the probation, {format_duration(spec.guard.probation)}, takes the champion back."
        if spec.guard
        else ""
    )
    return f"""
### Watch `{spec.model}`

Owner: **{spec.owner}**. Looks at {WATCHED_IN_WORDS[watched]} of the last {format_duration(monitor.window)} and compares
it with the window that the current champion was trained on.

1. **window** collects the rows. Labels may be missing.
2. **drift** measures how far they lie from the champion's reference.
3. **quality** measures how well the champion answers the rows whose labels have come.
4. **decide** judges, keeps the decision in the ledger, and asks for a retraining where one is due.

**A retraining is due by**

{due}

It is not asked for within {format_duration(retrain.cooldown)} of the last one, nor more than {retrain.max_per_week}
times in seven days.{taken_back}

**When it is red**: *decide* says why nothing could be compared, look after look. Pink tasks are what could not be
measured this time. A retraining that was asked for and has not begun is a warning in the log of *decide*, and
`understudy doctor` fails; look whether `retrain__{spec.model}` is paused.
"""


def _steps(spec: ModelSpec, window: str) -> list[str]:
    nothing_searched = "" if spec.train.search else " (nothing to search)"
    held_out = f"{'the newest ' if spec.data.time else ''}{spec.split.holdout} of the rows"
    steps = [
        f"**snapshot** reads {window} of `{_source_in_words(spec)}` and makes it a data version.",
        "**check** refuses a window that breaks the declaration or looks nothing like history; the champion stays.",
        f"**ask / trial** search hyperparameters, each trial in its own container{nothing_searched}.",
        "**train** fits the challenger and registers it.",
        f"**evaluate** compares challenger and champion on {held_out}, unseen by training.",
    ]
    if spec.shadow:
        steps.append(
            f"**shadow** lets a blessed challenger answer {spec.shadow.share:.0%} of the live requests unseen, for "
            f"{format_duration(spec.shadow.deadline)} at most. It {_in_words(spec.shadow)}."
        )
    if spec.canary:
        steps.append(f"**canary** {_canary_in_words(spec.canary)} It {_in_words(spec.canary)}.")
    steps.extend(_asked(spec))
    steps.append("**promote** makes a blessed challenger the champion; anything else leaves the champion alone.")
    if spec.guard:
        steps.append(
            f"**guard** watches the new champion for {format_duration(spec.guard.probation)} beside the one before and "
            f"takes it back on a breach. It {_in_words(spec.guard)}."
        )
    return [*steps, "**outcome** says how it ended."]


def _asked(spec: ModelSpec) -> list[str]:
    """Say who is asked before a promotion."""
    promotion = spec.promotion
    whom = ", ".join(f"`{approver}`" for approver in promotion.approvers) or "whoever may answer on this DAG"
    told = (
        f"**approve** asks {whom}, for {format_duration(promotion.timeout)} at most; no answer is a no.",
        "**approve_second** asks another person, for as long.",
    )
    return list(told[: promotion.persons])


def _canary_in_words(canary: CanarySpec) -> str:
    """Say which callers a challenger answers."""
    beside = "beside a fresh copy of the champion that answers as many"
    if canary.mode is CanaryMode.AB:
        asked = (
            f"provably {canary.min_gain:g} more per row"
            if canary.min_gain is not None
            else f"provably not more than {canary.margin:.1%} less"
        )
        return (
            f"lets a blessed challenger answer {canary.share:.0%} of the callers for "
            f"{format_duration(canary.horizon)}, {beside}; then its answers must be worth {asked}."
        )
    shares = ", ".join(f"{100 * share:g}" for share in canary.steps)
    return (
        f"lets a blessed challenger answer {shares}% of the callers in turn, {beside} (or all that are left), each "
        f"step for {format_duration(canary.hold)} at least and {format_duration(canary.step_deadline)} at most. What "
        "it cannot answer, the champion answers."
    )


def _in_words(gates: LiveGates) -> str:
    """Say what a version must show on live requests."""
    asked = [
        f"needs {gates.min_requests:,} requests",
        f"may lose {gates.max_error_share:.2%} of them",
        f"take {gates.max_latency_ratio:g} times as long",
        f"and use {gates.max_memory_ratio:g} times the memory",
    ]
    if isinstance(gates, RehearsalGates) and gates.min_agreement is not None:
        asked.append(f"must agree on {gates.min_agreement:.1%} of the rows")
    if gates.max_score_shift is not None:
        asked.append(f"may shift the scores by an index of {gates.max_score_shift:g}")
    if gates.min_labels:
        asked.append(
            f"must provably not lose more than {gates.margin:.1%} on at least {gates.min_labels:,} labels, by blocks "
            f"of {format_duration(gates.block)}"
        )
    return ", ".join(asked)


def _taken_back(spec: ModelSpec) -> str:
    if spec.guard is None:
        return ""
    return " `ROLLED_BACK` means that the guard has restored the champion before: nothing is left to do at once."


def _source_in_words(spec: ModelSpec) -> str:
    """Name the source; the query part of a URL stays out, because it may hold a key."""
    source = spec.data.source or "the declared query"
    return source.partition("?")[0] if "://" in source else source


def gate_in_words(gate: Gate) -> str:
    """Say what one gate asks for."""
    bounds = [
        f"at least {gate.floor:g}" if gate.floor is not None else "",
        f"at most {gate.ceiling:g}" if gate.ceiling is not None else "",
    ]
    absolute = " and ".join(b for b in bounds if b)
    relative = ""
    if METRICS[gate.metric].is_quality:  # what is measured once, such as size, is held against its bounds alone
        relative = (
            f"provably more than {gate.min_gain:g} better than the champion"
            if gate.min_gain is not None
            else f"provably not more than {gate.margin:.1%} worse than the champion"
        )
    return f"`{gate.metric}`: " + ", ".join(part for part in (absolute, relative) if part)


def broken_page(model: str, problem: SpecProblem) -> str:
    """Say why a model has no retraining and how to repair it."""
    return f"""
### `{model}` is not being retrained

Its declaration cannot be used:

> {problem}

Correct the file and run `understudy check {model}`; this page and its daily red run go away by themselves.
The other models are not affected. What to do about each alert: {runbooks_page()}
"""
