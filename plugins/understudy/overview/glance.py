"""A model at a glance: what serves, what is tried beside it, what was seen and decided last. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from understudy.contract.cause import MONITOR_PREFIX, RETRAIN_PREFIX
from understudy.contract.declared import DRILL_MODEL, Fact
from understudy.contract.moment import moment
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import Change, EntryKind, Verdict, Word
from understudy.overview.airflow_state import Airflow, DagState, Queued
from understudy.overview.events import RUNNING, Event, look_event, retraining_event, verdict_of_look
from understudy.overview.troubles import (
    Champion,
    Trouble,
    champion_in_trouble,
    dags_in_trouble,
    look_in_trouble,
    retraining_in_trouble,
)

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
    UNKNOWN = "unknown"  # the last look at what serves could not say, there was none yet, or none comes any more
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
    progress: str = ""
    """How that does, in short; empty where nobody has answered yet."""
    look: Event | None = None
    retraining: Event | None = None
    is_retraining: bool = False
    queued: tuple[Queued, ...] = ()
    """Retrainings that have not begun yet, oldest first."""
    waits_for: str = ""
    """Why they have not, in words; empty where there are none."""
    under_way: str | None = None
    """The run that they wait for."""
    notes: tuple[str, ...] = ()
    """Locks and holds, and what should look at it and does not."""
    unseen: str = ""
    """Why no look vouches for what serves; empty where one does, and where none is asked for."""
    troubles: tuple[Trouble, ...] = ()
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
    retraining = retraining_event(began, ended, retrain)
    is_retraining = retraining is not None and retraining.word == RUNNING
    look = told.newest.get(EntryKind.MONITORED)
    seen = look_event(look) if look else None
    questions = sum(question.dag_id == f"{RETRAIN_PREFIX}{model}" for question in airflow.questions)
    tried = beside(record) if record else ""
    unseen = _unseen(champion, look, monitor)
    troubles = (
        *dags_in_trouble(retrain, monitor),
        *champion_in_trouble(champion),
        *retraining_in_trouble(retraining),
        *look_in_trouble(champion, look, seen, is_retraining=is_retraining),
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
            is_known=(retrain is not None or model == DRILL_MODEL)
            and not unseen
            and (monitor is None or monitor.overdue_since is None),
        ),
        champion=champion,
        beside=tried,
        beside_since=told.newest[EntryKind.DEPLOYED].at if tried else None,
        look=seen,
        retraining=retraining,
        is_retraining=is_retraining,
        queued=retrain.queued if retrain else (),
        waits_for=_waits_for(retrain),
        under_way=retrain.under_way if retrain else None,
        notes=(*told.notes, *_unwatched(model, champion, retrain, monitor)),
        unseen=unseen,
        troubles=troubles,
        questions=questions,
    )


def is_probation(record: Deployment) -> bool:
    """Tell the probation of a new champion, which the one before mirrors, from a challenger's rehearsal."""
    return record.change is Change.PROMOTION and record.mirror is not None


def beside(record: Deployment) -> str:
    """Say what else answers requests; empty where nothing does."""
    if record.canary is not None:
        return f"version {record.canary.version} answers {record.canary_share:.0%} of the callers"
    if record.mirror is None:
        return ""
    if is_probation(record):
        return f"on probation: version {record.mirror.version} answers along, unseen"
    return f"version {record.mirror.version} rehearses on {record.mirror_share:.0%} of the requests"


def _waits_for(retrain: DagState | None) -> str:
    if retrain is None or not retrain.queued:
        return ""
    if retrain.is_paused:
        return f"{retrain.dag_id} is paused until somebody unpauses it in Airflow"
    if retrain.under_way is not None:
        return "another one is under way, and a model has one at a time"
    return "Airflow's scheduler has not begun it yet"


def _record(told: Recorded) -> Deployment | None:
    newest = told.newest.get(EntryKind.DEPLOYED)
    return newest.deployment if newest else None


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


def _unwatched(
    model: str, champion: Champion | None, retrain: DagState | None, monitor: DagState | None
) -> Iterator[str]:
    """Say what should happen to a model and does not, though nobody paused it."""
    if retrain is None and champion is not None and model != DRILL_MODEL:
        yield "it is no longer declared: nothing looks at what serves, and nothing retrains it"
    for name, dag in (("retraining", retrain), ("look", monitor)):
        if dag is not None and dag.overdue_since is not None:
            at = moment(dag.overdue_since)
            yield f"its {name} of {at} has not begun; does Airflow's scheduler run?"


def _unseen(champion: Champion | None, look: LedgerEntry | None, monitor: DagState | None) -> str:
    if champion is None or monitor is None:
        return ""
    if look is None or look.at < champion.since:
        return f"no look since version {champion.version} began to serve"
    return "its last look could not say" if verdict_of_look(look) == Verdict.INCONCLUSIVE.value else ""


def _health(
    troubles: tuple[Trouble, ...], champion: Champion | None, questions: int, *, is_busy: bool, is_known: bool
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
