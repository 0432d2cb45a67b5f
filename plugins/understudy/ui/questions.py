"""What a model's runs ask of people: who may answer, and what is known now that was not when it was asked. Pure."""

from collections.abc import Callable, Sequence

from understudy.contract.approval import APPROVE, EVIDENCE, TASKS, Answered
from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.declared import Fact
from understudy.contract.read_facts import read_as
from understudy.contract.release import Blessing, Bundle, Deployment, LedgerEntry
from understudy.contract.words import Answer, EntryKind
from understudy.hooks.errors import StaleBlessing
from understudy.overview.airflow_state import Airflow, Question
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
    version: int | None = None
    """The challenger that is asked about; None where the ledger does not say."""
    champion: int | None = None
    """What it would replace."""
    card: int | None = None
    """The ledger entry whose card shows what it was judged by."""
    obstacle: str = ""
    """Why what is approved now would not be promoted; empty where it would."""
    is_last: bool = True
    """Whether an approval is acted on at once, rather than by asking a second person."""
    has_approved: bool = False
    """Whether this very person approved as the first one, and cannot be the second."""

    @property
    def acts(self) -> dict[str, str]:
        """Map options to the task that acts on them at once; a rejection is acted on by none."""
        return {APPROVE: PROMOTE} if self.is_last else {}


class Known(Fact):
    """Hold what is known of a model beside its questions."""

    entries: Sequence[LedgerEntry] = ()
    record: Deployment | None = None
    persons: int = 1
    """How many have to approve by the declaration."""


def requests(
    model: str,
    airflow: Airflow,
    user_id: str,
    may_answer: Callable[[str], bool],
    known: Known,
    *,
    refusal: Callable[[Bundle], str] = lambda _: "",
) -> tuple[Request, ...]:
    """List what the model's runs ask of people.

    :param refusal: says why a version could not be promoted now, whoever approves it; empty where it could.
    """
    dag_id = f"{RETRAIN_PREFIX}{model}"
    asked = [question for question in airflow.questions if question.dag_id == dag_id]
    may = may_answer(dag_id) if asked else False
    return tuple(_request(question, user_id, known, refusal, may=may) for question in asked)


def _request(question: Question, user_id: str, known: Known, refusal: Callable[[Bundle], str], *, may: bool) -> Request:
    run = run_key(question.run_id)
    in_run = [entry for entry in known.entries if entry.run == run]
    is_asked = not question.assigned or user_id in question.assigned
    why_not = "" if may else "You may not answer what this DAG asks."
    if may and not is_asked:
        why_not = f"Only {', '.join(question.assigned)} may answer this."
    blessings = [read_as(Blessing, entry.facts) for entry in in_run if entry.kind is EntryKind.BLESSED]
    blessing = blessings[-1] if blessings else None
    return Request(
        question=question,
        may=may and is_asked,
        reason_param="reason" if "reason" in question.params else next(iter(question.params), None),
        why_not=why_not,
        version=blessing.challenger.version if blessing else None,
        champion=known.record.champion.version if known.record else None,
        card=next((entry.seq for entry in reversed(in_run) if entry.kind in EVIDENCE), None),
        obstacle=_obstacle(blessing, known, refusal) if blessing else "",
        is_last=question.task_id in TASKS[max(known.persons, 1) - 1 :],
        has_approved=blessing is not None and _has_approved(user_id, question, blessing, in_run),
    )


def _obstacle(blessing: Blessing, known: Known, refusal: Callable[[Bundle], str]) -> str:
    if blessing.is_stale(known.record):
        return str(StaleBlessing(blessing, known.record))
    return refusal(blessing.challenger)


def _has_approved(user_id: str, question: Question, blessing: Blessing, in_run: Sequence[LedgerEntry]) -> bool:
    told = [read_as(Answered, entry.facts) for entry in in_run if entry.kind is EntryKind.APPROVAL_ANSWERED]
    return question.task_id in TASKS[1:] and any(
        one is not None
        and one.answer is Answer.APPROVED
        and one.is_about(blessing.challenger.version, blessing.judgement_sha256)
        and one.by is not None
        and one.by.id == user_id
        for one in told
    )
