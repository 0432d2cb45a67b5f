"""How far a rehearsal or a probation is, in words: asked of the places that serve, judged as its operator will."""

from datetime import datetime, timedelta

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.judge_rehearsal import judge_probation, judge_rehearsal
from understudy.contract.judgement import Judgement
from understudy.contract.release import Deployment
from understudy.contract.serving import RehearsalQuery
from understudy.contract.serving_spec import GuardSpec, RehearsalGates, ShadowSpec
from understudy.contract.spec import ModelSpec
from understudy.hooks.connect import Hooks
from understudy.ui.glance import is_probation

ASK_S = 2.0


class Progress(Fact):
    """Say what is compared with the champion, until when, and what its gates say so far."""

    sentence: str
    since: datetime
    until: datetime | None = None
    judgement: Judgement | None = None
    problem: str | None = None
    """Why nothing is known."""


def progress(hooks: Hooks, record: Deployment, since: datetime, spec: ModelSpec | None) -> Progress | None:
    """Ask how the version beside the champion is doing; None where there is none.

    :param since: when the record was written that put it there.
    """
    if record.canary is not None:
        until = since + spec.canary.length_of_step if spec and spec.canary else None
        told = f"version {record.canary.version} answers {record.canary_share:.0%} of the callers"
        return Progress(sentence=told, since=since, until=until)
    if record.mirror is None:
        return None
    gates = _gates(record, spec)
    told = (
        f"version {record.champion.version} is on probation beside version {record.mirror.version}"
        if is_probation(record)
        else f"version {record.mirror.version} rehearses on {record.mirror_share:.0%} of the requests"
    )
    known = Progress(sentence=told, since=since, until=since + _length(gates) if gates else None)
    if gates is None:
        return known.model_copy(update={"problem": "model.yaml no longer says how it is judged"})
    try:
        judged = _judged(hooks, record, since, gates)
    except UnderstudyError as problem:
        return known.model_copy(update={"problem": str(problem)})
    if judged is None:
        return known.model_copy(update={"problem": "no gateway is known to this process"})
    return known.model_copy(update={"judgement": judged})


def _gates(record: Deployment, spec: ModelSpec | None) -> ShadowSpec | GuardSpec | None:
    if spec is None:
        return None
    return spec.guard if is_probation(record) else spec.shadow


def _length(gates: ShadowSpec | GuardSpec) -> timedelta:
    return gates.probation if isinstance(gates, GuardSpec) else gates.deadline


def _judged(hooks: Hooks, record: Deployment, since: datetime, gates: RehearsalGates) -> Judgement | None:
    places, _ = hooks.served_now(record.model)
    if places is None or record.mirror is None:
        return None
    query = RehearsalQuery(
        champion_version=record.champion.version,
        mirror_version=record.mirror.version,
        since=since,
        block_s=max(round(gates.block.total_seconds()), 1),
    )
    report = places.rehearsal(record.model, query, ASK_S)
    return judge_probation(report, gates) if isinstance(gates, GuardSpec) else judge_rehearsal(report, gates)
