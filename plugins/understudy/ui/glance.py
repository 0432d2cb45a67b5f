"""A model at a glance: what serves, what is tried beside it, what was seen and decided last. Pure."""

from collections.abc import Mapping
from datetime import datetime

from understudy.contract.cause import MONITOR_PREFIX, RETRAIN_PREFIX
from understudy.contract.declared import Fact
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import Change, EntryKind, Outcome, Verdict, Word
from understudy.ui.airflow_state import Airflow, DagState

BAD_ENDS = {Outcome.BROKEN, Outcome.DATA_REFUSED, Outcome.PROMOTION_REFUSED, Outcome.ROLLED_BACK}
NEWEST = (
    EntryKind.DEPLOYED,
    EntryKind.CONFIRMED,
    EntryKind.TRIGGERED,
    EntryKind.CONCLUDED,
    EntryKind.MONITORED,
)
"""The kinds of which a glance needs the newest entry."""


class Health(Word):
    """Say whether a person should look; in the order of urgency."""

    ATTENTION = "attention"
    APPROVAL = "approval"
    WORKING = "working"
    UNKNOWN = "unknown"  # the last look at what serves could not say, or there was none yet
    WELL = "well"
    EMPTY = "empty"

    @property
    def in_words(self) -> str:
        """Name it for people."""
        return _TITLES[self]


_TITLES = {
    Health.ATTENTION: "Needs attention",
    Health.APPROVAL: "Waits for approval",
    Health.WORKING: "Something is tried",
    Health.UNKNOWN: "Nobody can say",
    Health.WELL: "All is well",
    Health.EMPTY: "No champion yet",
}


class Champion(Fact):
    """Say what serves, since when, by whose decision and why."""

    version: int
    epoch: int
    since: datetime
    by: str
    why: str
    is_confirmed: bool
    previous: int | None
    """Where a rollback would go."""


class Event(Fact):
    """Say what was seen or decided last."""

    seq: int
    at: datetime
    word: str
    sentence: str


class Glance(Fact):
    """Hold what a line of the fleet shows."""

    model: str
    owner: str
    is_declared: bool
    health: Health
    champion: Champion | None
    beside: str = ""
    """What else answers requests, in words."""
    beside_since: datetime | None = None
    look: Event | None = None
    retraining: Event | None = None
    is_retraining: bool = False
    notes: tuple[str, ...] = ()
    """Locks and holds."""
    troubles: tuple[str, ...] = ()
    questions: int = 0
    """What waits for a person."""


class Recorded(Fact):
    """Gather what the ledger says of a model."""

    newest: Mapping[EntryKind, LedgerEntry]
    founding: LedgerEntry | None = None
    """The record by which the champion began."""
    notes: tuple[str, ...] = ()


def glance(model: str, told: Recorded, airflow: Airflow) -> Glance:
    """Put together what ledger and Airflow know of a model."""
    retrain = airflow.dags.get(f"{RETRAIN_PREFIX}{model}")
    monitor = airflow.dags.get(f"{MONITOR_PREFIX}{model}")
    record = _record(told)
    champion = _champion(record, told) if record else None
    began, ended = told.newest.get(EntryKind.TRIGGERED), told.newest.get(EntryKind.CONCLUDED)
    is_retraining = began is not None and (ended is None or ended.seq < began.seq)
    look = told.newest.get(EntryKind.MONITORED)
    questions = sum(question.dag_id == f"{RETRAIN_PREFIX}{model}" for question in airflow.questions)
    tried = beside(record) if record else ""
    troubles = (
        *_trouble_of(retrain, monitor),
        *_trouble_told(champion, ended, look, is_retraining=is_retraining),
    )
    return Glance(
        model=model,
        owner=retrain.owner if retrain else "",
        is_declared=retrain is not None,
        health=_health(
            troubles,
            champion,
            questions,
            is_busy=bool(tried) or is_retraining,
            is_known=monitor is None or _is_conclusive(champion, look),
        ),
        champion=champion,
        beside=tried,
        beside_since=told.newest[EntryKind.DEPLOYED].at if tried else None,
        look=_look(look) if look else None,
        retraining=_retraining(began if is_retraining else ended),
        is_retraining=is_retraining,
        notes=told.notes,
        troubles=troubles,
        questions=questions,
    )


def is_probation(record: Deployment) -> bool:
    """Tell the probation of a new champion, which the one before mirrors, from a challenger's rehearsal."""
    return record.change is Change.PROMOTION and record.mirror is not None


def record_in(entry: LedgerEntry) -> Deployment:
    """Read the deployment record of an entry."""
    return Deployment.model_validate(entry.facts["deployment"])


def beside(record: Deployment) -> str:
    """Say what else answers requests; empty where nothing does."""
    if record.canary is not None:
        return f"version {record.canary.version} answers {record.canary_share:.0%} of the callers"
    if record.mirror is None:
        return ""
    if is_probation(record):
        return f"on probation: version {record.mirror.version} answers along, unseen"
    return f"version {record.mirror.version} rehearses on {record.mirror_share:.0%} of the requests"


def _record(told: Recorded) -> Deployment | None:
    newest = told.newest.get(EntryKind.DEPLOYED)
    return record_in(newest) if newest else None


def _champion(record: Deployment, told: Recorded) -> Champion:
    began = told.founding or told.newest[EntryKind.DEPLOYED]
    confirmed = told.newest.get(EntryKind.CONFIRMED)
    return Champion(
        version=record.champion.version,
        epoch=record.epoch,
        since=began.at,
        by=began.actor,
        why=began.reason,
        is_confirmed=confirmed is not None and int(str(confirmed.facts["epoch"])) >= record.champion_since,
        previous=record.previous.version if record.previous else None,
    )


def _look(entry: LedgerEntry) -> Event:
    word = "retraining due" if entry.facts.get("is_due") else _verdict_of(entry)
    return Event(seq=entry.seq, at=entry.at, word=word, sentence=entry.reason)


def _verdict_of(look: LedgerEntry) -> str:
    decision = look.facts.get("decision")
    judgement = decision.get("judgement") if isinstance(decision, dict) else None
    verdict = judgement.get("verdict") if isinstance(judgement, dict) else None
    return str(verdict or Verdict.INCONCLUSIVE)


def _retraining(entry: LedgerEntry | None) -> Event | None:
    if entry is None:
        return None
    word = str(entry.facts.get("outcome", "running"))
    return Event(seq=entry.seq, at=entry.at, word=word, sentence=entry.reason)


def _trouble_of(retrain: DagState | None, monitor: DagState | None) -> tuple[str, ...]:
    said: list[str] = []
    for name, dag in (("retraining", retrain), ("monitoring", monitor)):
        if dag is None:
            continue
        if dag.is_broken:
            said.append(f"the declaration of its {name} cannot be used")
        elif dag.is_paused:
            said.append(f"its {name} is paused")
    if monitor is not None and monitor.last_state == "failed":
        said.append("its last look failed")
    return tuple(said)


def _trouble_told(
    champion: Champion | None, ended: LedgerEntry | None, look: LedgerEntry | None, *, is_retraining: bool
) -> tuple[str, ...]:
    said: list[str] = []
    if champion is not None and not champion.is_confirmed:
        said.append(f"nobody has confirmed that version {champion.version} serves")
    outcome = str(ended.facts.get("outcome", "")) if ended and not is_retraining else ""
    if outcome in {end.value for end in BAD_ENDS}:
        said.append(f"its last retraining ended {outcome.replace('_', ' ')}")
    # A look at a champion that was replaced since says nothing of the one that serves now.
    is_current = champion is not None and look is not None and look.at >= champion.since
    if look is not None and is_current and _verdict_of(look) == Verdict.FAILED.value:
        # A retraining that the look asked for is the cure, as long as it runs; one that has ended has not replaced it.
        is_seen_to = is_retraining and bool(look.facts.get("is_due"))
        if not is_seen_to:
            said.append("its last look found something wrong")
    return tuple(said)


def _is_conclusive(champion: Champion | None, look: LedgerEntry | None) -> bool:
    """Tell whether the last look was at the champion that serves, and could say something."""
    is_current = champion is not None and look is not None and look.at >= champion.since
    return look is not None and is_current and _verdict_of(look) != Verdict.INCONCLUSIVE.value


def _health(
    troubles: tuple[str, ...], champion: Champion | None, questions: int, *, is_busy: bool, is_known: bool
) -> Health:
    if troubles:
        return Health.ATTENTION
    if questions:
        return Health.APPROVAL
    if is_busy:
        return Health.WORKING
    if champion is None:
        return Health.EMPTY
    return Health.WELL if is_known else Health.UNKNOWN
