"""What is wrong with a model, in a few words, and what whoever found it said of it. Pure."""

from collections.abc import Iterator
from datetime import datetime

from understudy.contract.declared import Fact
from understudy.contract.release import LedgerEntry
from understudy.contract.words import Outcome, Verdict
from understudy.overview.airflow_state import DagState
from understudy.overview.events import Event, verdict_of_look

BAD_ENDS = frozenset(
    end.value for end in (Outcome.BROKEN, Outcome.DATA_REFUSED, Outcome.PROMOTION_REFUSED, Outcome.ROLLED_BACK)
)


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


class Trouble(Fact):
    """Say what is wrong."""

    said: str
    told: str = ""
    """Where, why and what to do, in the words of whatever found it; empty where ``said`` is all."""
    seq: int | None = None
    """The ledger entry that has the numbers."""


def dags_in_trouble(retrain: DagState | None, monitor: DagState | None) -> Iterator[Trouble]:
    """Tell of DAGs that do not run, or that failed."""
    for name, dag in (("retraining", retrain), ("monitoring", monitor)):
        if dag is None:
            continue
        if dag.is_broken:
            yield Trouble(said=f"the declaration of its {name} cannot be used", told=dag.problem)
        elif dag.is_paused:
            yield Trouble(said=f"its {name} is paused")
    # Also while the next one runs, which may fail as well.
    if monitor is not None and monitor.failed:
        yield Trouble(said="its last look failed")


def champion_in_trouble(champion: Champion | None) -> Iterator[Trouble]:
    """Tell of a champion that perhaps nobody serves."""
    if champion is not None and not champion.is_confirmed:
        yield Trouble(said=f"nobody has confirmed that version {champion.version} serves")


def retraining_in_trouble(last: Event | None) -> Iterator[Trouble]:
    """Tell of a last retraining that ended badly."""
    if last is not None and last.word in BAD_ENDS:
        said = f"its last retraining ended {last.word.replace('_', ' ')}"
        yield Trouble(said=said, told=last.sentence, seq=last.seq)


def look_in_trouble(
    champion: Champion | None, look: LedgerEntry | None, seen: Event | None, *, is_retraining: bool
) -> Iterator[Trouble]:
    """Tell of a look that found something wrong with the champion that serves now."""
    if champion is None or look is None or seen is None or look.at < champion.since:
        return  # a look at a champion that was replaced since says nothing of the one that serves now
    # A retraining that the look asked for is the cure, as long as it runs; one that has ended has not replaced it.
    is_seen_to = is_retraining and bool(look.facts.get("is_due"))
    if verdict_of_look(look) == Verdict.FAILED.value and not is_seen_to:
        yield Trouble(said="its last look found something wrong", told=seen.headline, seq=look.seq)
