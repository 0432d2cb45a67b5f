"""What a DAG's page says, in plain words."""

from understudy.contract.declared import format_duration
from understudy.contract.errors import SpecProblem
from understudy.contract.gates import Gate
from understudy.contract.spec import ModelSpec


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
    runbook = f"\n\nRunbook of the team: {spec.runbook}" if spec.runbook else ""
    nothing_searched = "" if spec.train.search else " (nothing to search)"
    return f"""
### Retrain `{spec.model}`

{spec.description or "No description in model.yaml."} Owner: **{spec.owner}**.

1. **snapshot** reads {window} of `{_source_in_words(spec)}` and makes it a data version.
2. **check** refuses a window that breaks the declaration or looks nothing like history; the champion stays.
3. **ask / trial** search hyperparameters, each trial in its own container{nothing_searched}.
4. **train** fits the challenger and registers it.
5. **evaluate** compares challenger and champion on the newest {spec.split.holdout} of the rows, unseen by training.
6. **promote** makes a blessed challenger the champion; anything else leaves the champion alone.
7. **outcome** says how it ended.

**Gates**

{gates}{f"{chr(10)}- better than {beats}" if beats else ""}{slices}

**When it is red**: open *outcome*; it says in one sentence whether data or a promotion were refused or a task broke.
Pink tasks with a red outcome are a refusal, not a crash. To take the champion back, run the DAG `rollback`.{runbook}
"""


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
The other models are not affected.
"""


def rollback_page() -> str:
    """Explain the rollback form."""
    return """
### Take a model back

Trigger it with the model, a reason, and `previous` (or the number of a version that has served before).

The whole bundle goes back: version, image, code, threshold and drift reference. The version that you take back is
denied from being promoted again. *Dry run* only says what would happen. The ledger keeps who did it and why.
"""


def housekeeping_page() -> str:
    """Explain what housekeeping may delete."""
    return """
### Tidy up

Every hour: containers and processes whose task is over are removed, and so are run folders older than `keep_runs`.
Models, reports, data versions, quarantined windows and the ledger are never touched.
"""
