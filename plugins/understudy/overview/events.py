"""The last look and the last retraining of a model, as a line of the fleet shows them. Pure."""

from datetime import datetime

from understudy.contract.cards.headline import headline_of
from understudy.contract.declared import Fact
from understudy.contract.local_run import local_run_in
from understudy.contract.release import LedgerEntry
from understudy.contract.words import Outcome, Verdict
from understudy.overview.airflow_state import DagState

RUNNING = "running"
CUT_OFF = "Airflow has failed the run before it could say why; read the log of its failed task, and retrain"


class Event(Fact):
    """Say what was seen or decided last."""

    seq: int
    at: datetime
    word: str
    headline: str = ""
    """What decided, in one clause; empty where the sentence says it."""
    sentence: str


def look_event(look: LedgerEntry) -> Event:
    """Tell a look by its verdict, or by the retraining that it asks for."""
    verdict = verdict_of_look(look)
    return Event(
        seq=look.seq,
        at=look.at,
        word="retraining due" if look.facts.get("is_due") else verdict,
        # Most looks of a thousand models find nothing: their judgements are not read.
        headline="" if verdict == Verdict.PASSED.value else headline_of(look),
        sentence=look.reason,
    )


def verdict_of_look(look: LedgerEntry) -> str:
    """Give a look's verdict as it is written; what is not there decides nothing."""
    decision = look.facts.get("decision")
    judgement = decision.get("judgement") if isinstance(decision, dict) else None
    verdict = judgement.get("verdict") if isinstance(judgement, dict) else None
    return str(verdict or Verdict.INCONCLUSIVE)


def retraining_event(began: LedgerEntry | None, ended: LedgerEntry | None, dag: DagState | None) -> Event | None:
    """Tell the retraining that runs, else the last one that ended, however it did."""
    if began is not None and (ended is None or ended.seq < began.seq):
        if _is_cut_off(began, dag):
            return Event(seq=began.seq, at=began.at, word=Outcome.BROKEN.value, sentence=CUT_OFF)
        local = local_run_in(began)
        sentence = f"{began.reason}; {local.sentence}" if local else began.reason
        return Event(seq=began.seq, at=began.at, word=RUNNING, sentence=sentence)
    if ended is None:
        return None
    return Event(seq=ended.seq, at=ended.at, word=str(ended.facts.get("outcome", "ended")), sentence=ended.reason)


def _is_cut_off(began: LedgerEntry, dag: DagState | None) -> bool:
    """Tell whether Airflow has failed the run that began, which never came to say how it ended.

    What is queued behind it, or runs already and has written nothing yet, does not make it run again.
    """
    return dag is not None and began.facts.get("run_id") in dag.failed
