"""What a model's runs ask of people: who may answer, and what is known now that was not when it was asked. Pure."""

from collections.abc import Callable, Sequence

from understudy.contract.approval import APPROVE, TASKS
from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.declared import Fact
from understudy.contract.read_facts import read_as
from understudy.contract.release import Blessing, Deployment, LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks.errors import StaleBlessing
from understudy.ui.airflow_state import Airflow, Question
from understudy.workspace import run_key

PROMOTE = "promote"
"""The task of a retraining that does what was approved."""


class Request(Fact):
    """Describe what a run asks a person, and whether this one may answer."""

    question: Question
    may: bool
    reason_param: str | None
    """The parameter that takes the person's reason."""
    why_not: str = ""
    overtaken: str = ""
    """Why an approval would be refused by now; empty where it would not."""
    acts: dict[str, str]
    """Option to the task that acts on it at once; a first approval of two, and a rejection, are acted on by none."""


class Known(Fact):
    """Hold what is known of a model beside its questions."""

    entries: Sequence[LedgerEntry] = ()
    record: Deployment | None = None
    persons: int = 1
    """How many have to approve by the declaration."""


def requests(
    model: str, airflow: Airflow, user_id: str, may_answer: Callable[[str], bool], known: Known
) -> tuple[Request, ...]:
    """List what the model's runs ask of people."""
    dag_id = f"{RETRAIN_PREFIX}{model}"
    asked = [question for question in airflow.questions if question.dag_id == dag_id]
    may = may_answer(dag_id) if asked else False
    return tuple(_request(question, user_id, known, may=may) for question in asked)


def _request(question: Question, user_id: str, known: Known, *, may: bool) -> Request:
    is_asked = not question.assigned or user_id in question.assigned
    why_not = "" if may else "You may not answer what this DAG asks."
    if may and not is_asked:
        why_not = f"Only {', '.join(question.assigned)} may answer this."
    is_last = question.task_id in TASKS[max(known.persons, 1) - 1 :]
    return Request(
        question=question,
        may=may and is_asked,
        reason_param="reason" if "reason" in question.params else next(iter(question.params), None),
        why_not=why_not,
        overtaken=_overtaken(question, known),
        acts={APPROVE: PROMOTE} if is_last else {},
    )


def _overtaken(question: Question, known: Known) -> str:
    run = run_key(question.run_id)
    blessed = [entry.facts for entry in known.entries if entry.kind is EntryKind.BLESSED and entry.run == run]
    blessing = read_as(Blessing, blessed[-1]) if blessed else None
    if blessing is None or not blessing.is_stale(known.record):
        return ""
    return f"{StaleBlessing(blessing, known.record)} An approval would be refused."
