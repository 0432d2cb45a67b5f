"""How far a rehearsal, a canary or a probation is, in words: asked of the gateways, judged as its operator will."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.declaration.serving import GuardSpec, LiveGates, ShadowSpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import Fact
from understudy.contract.errors import SpecProblem, UnderstudyError, UnknownModel
from understudy.contract.judgement import Judgement
from understudy.contract.judges.canary import judge_ab, judge_step
from understudy.contract.judges.rehearsal import judge_probation, judge_rehearsal
from understudy.contract.live.canary_report import CanaryQuery
from understudy.contract.live.remaining import Remaining, remaining
from understudy.contract.load import read_model
from understudy.contract.release import Deployment
from understudy.contract.serving import RehearsalQuery
from understudy.contract.words import CanaryMode, Lacking, Verdict
from understudy.hooks.connect import Hooks
from understudy.hooks.deployments import Served
from understudy.hooks.places.gateways import Gateways
from understudy.overview.glance import beside, is_probation

ASK_S = 2.0
_SO_FAR = {
    Verdict.PASSED: "passes so far",
    Verdict.FAILED: "fails so far",
    Verdict.INCONCLUSIVE: "nobody can say yet",
}


class Progress(Fact):
    """Say what is tried beside the champion, until when, and what its gates say so far."""

    sentence: str
    since: datetime
    until: datetime | None = None
    judgement: Judgement | None = None
    remaining: Remaining | None = None
    """What it still needs, and how long that takes; None where it is decided, or more of the same decides nothing."""
    problem: str | None = None
    """Why it is not known how it does."""

    @property
    def short(self) -> str:
        """Say how it does as briefly as a line of the fleet needs."""
        if self.remaining is not None:
            return self.remaining.short
        return _SO_FAR[self.judgement.verdict] if self.judgement is not None else "how it does is not known now"


def progress(hooks: Hooks, history: Sequence[Served], spec: ModelSpec | None, now: datetime) -> Progress | None:
    """Ask how the version beside the champion is doing; None where there is none."""
    record = history[-1].deployment if history else None
    told = beside(record) if record else ""
    if record is None or not told:
        return None
    since = history[-1].at
    gates = _gates(record, spec)
    if gates is None or spec is None:
        return Progress(sentence=told, since=since, problem="model.yaml no longer says how it is judged")
    known = Progress(sentence=told, since=since, until=since + _length(gates))
    try:
        judgement, watched = _judged(hooks, history, spec, gates)
    except UnderstudyError as problem:
        return known.model_copy(update={"problem": str(problem)})
    left = known.until - now if known.until is not None else None
    return known.model_copy(update={"judgement": judgement, "remaining": remaining(judgement, watched, left)})


def declaration(hooks: Hooks, model: str) -> ModelSpec | None:
    """Read how a model is declared; None where it is not, or not usably."""
    try:
        return read_model(hooks.settings.models_dir, model)
    except (UnknownModel, SpecProblem):
        return None


class NobodyToAsk(UnderstudyError):
    """No place that serves the model is known to this process."""

    def __init__(self, model: str) -> None:
        super().__init__(f"No gateway is known that serves {model}; set AIRFLOW__UNDERSTUDY__GATEWAYS.")


def _gates(record: Deployment, spec: ModelSpec | None) -> ShadowSpec | GuardSpec | CanarySpec | None:
    if spec is None:
        return None
    if record.canary is not None:
        return spec.canary
    return spec.guard if is_probation(record) else spec.shadow


def _length(gates: ShadowSpec | GuardSpec | CanarySpec) -> timedelta:
    if isinstance(gates, CanarySpec):
        return gates.length_of_step
    return gates.probation if isinstance(gates, GuardSpec) else gates.deadline


def _judged(
    hooks: Hooks, history: Sequence[Served], spec: ModelSpec, gates: ShadowSpec | GuardSpec | CanarySpec
) -> tuple[Judgement, dict[Lacking, timedelta]]:
    """Judge what there is, and say for how long each kind of evidence was collected."""
    record = history[-1].deployment
    places, _ = hooks.served_now(record.model)
    if places is None:
        raise NobodyToAsk(record.model)
    if isinstance(gates, CanarySpec):
        if not isinstance(places, Gateways):
            raise NobodyToAsk(record.model)
        return _canary(places, history, spec, gates)
    report = places.rehearsal(record.model, _rehearsal(history[-1], gates), ASK_S)
    judged = judge_probation(report, gates) if isinstance(gates, GuardSpec) else judge_rehearsal(report, gates)
    return judged, dict.fromkeys(Lacking, report.until - report.since)


def _rehearsal(served: Served, gates: LiveGates) -> RehearsalQuery:
    record = served.deployment
    mirror = record.mirror or record.champion
    return RehearsalQuery(
        champion_version=record.champion.version,
        mirror_version=mirror.version,
        since=served.at,
        block_s=_seconds(gates),
    )


def _canary(
    gateways: Gateways, history: Sequence[Served], spec: ModelSpec, gates: CanarySpec
) -> tuple[Judgement, dict[Lacking, timedelta]]:
    record = history[-1].deployment
    canary = record.canary or record.champion
    value = spec.evaluate.value
    query = CanaryQuery(
        champion_version=record.champion.version,
        canary_version=canary.version,
        since=_began(history),
        epoch=record.epoch,
        block_s=_seconds(gates),
        costs=value.costs if value is not None else None,
    )
    report = gateways.canary(record.model, query, ASK_S)
    if gates.mode is CanaryMode.AB:
        judged = judge_ab(report, gates, is_over=False)
    else:
        judged = judge_step(report, gates, record.canary_share)
    # Requests are counted anew at each step, labels since the canary began.
    watched = dict.fromkeys(Lacking, report.until - report.since)
    return judged, {**watched, Lacking.REQUESTS: report.until - history[-1].at}


def _began(history: Sequence[Served]) -> datetime:
    """Say when the canary got its first callers; each larger share is a record of its own."""
    began = history[-1]
    for served in reversed(history):
        if served.deployment.canary != began.deployment.canary:
            break
        began = served
    return began.at


def _seconds(gates: LiveGates) -> int:
    return max(round(gates.block.total_seconds()), 1)
