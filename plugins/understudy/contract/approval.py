"""What is asked before a promotion, and what an answer is worth. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from understudy.contract.declaration.promotion import PromotionSpec
from understudy.contract.declared import Fact, format_duration
from understudy.contract.reason import reason_problem
from understudy.contract.words import Answer, EntryKind

APPROVE, REJECT = "Approve", "Reject"
REASON = "reason"
"""The field of the form in which a person says why."""
NOBODY = "nobody"
LONGEST_SHOWN = 100
EVIDENCE = (EntryKind.JUDGED, EntryKind.REHEARSED, EntryKind.CANARIED)
"""What people are shown before they answer: the newest of these in the run."""
TASKS = ("approve", "approve_second")
"""The tasks of a retraining that ask, by person."""


class Question(Fact):
    """Say what people were asked: about which version, as the first or the second person, and until when."""

    version: int
    person: int = Field(ge=1)
    until: datetime
    remind_at: datetime
    approvers: tuple[str, ...] = ()
    """Who may answer; whoever may answer on the DAG when empty."""
    judgement_sha256: str
    dag_id: str
    run_id: str
    task_id: str

    def is_same(self, other: "Question") -> bool:
        """Tell whether both ask the same, whenever that was."""
        return (self.version, self.judgement_sha256) == (other.version, other.judgement_sha256)


class Person(Fact):
    """Name who answered, as Airflow knows them."""

    id: str
    name: str

    @property
    def shown(self) -> str:
        """Give the name, or the id where there is none."""
        return self.name or self.id


class Answered(Fact):
    """Say what was answered to a question, by whom and why."""

    version: int
    judgement_sha256: str
    """The judgement that the person saw."""
    person: int
    answer: Answer
    by: Person | None
    """None where nobody answered in time."""
    at: datetime
    reason: str
    """What the person wrote, or why the answer does not count."""

    def is_about(self, version: int, judgement_sha256: str) -> bool:
        """Tell an answer to this question from one about another version, or the same one judged anew."""
        return (self.version, self.judgement_sha256) == (version, judgement_sha256)

    @property
    def who(self) -> str:
        """Name who answered."""
        return self.by.shown if self.by is not None else NOBODY


def read_answer(
    event: Mapping[str, Any], question: Question, promotion: PromotionSpec, earlier: Iterable[Answered], now: datetime
) -> Answered:
    """Read what Airflow says that was answered.

    Airflow's API checks the option and the person, and nothing of what was written; and it may have been asked before
    the declaration named somebody else. An answer that does not count is void and never approves.

    :param earlier: what others answered in the same run.
    """
    by = _person(event.get("responded_by_user"))
    options, written = tuple(event.get("chosen_options") or ()), _written(event)

    def answered(answer: Answer, reason: str) -> Answered:
        return Answered(
            version=question.version,
            judgement_sha256=question.judgement_sha256,
            person=question.person,
            answer=answer,
            by=by,
            at=event.get("responded_at") or now,
            reason=reason,
        )

    if by is None:
        return answered(Answer.REJECTED, f"nobody answered within {format_duration(promotion.timeout)}")
    approved_by = {
        one.by.id
        for one in earlier
        if one.by is not None
        and one.answer is Answer.APPROVED
        and one.is_about(question.version, question.judgement_sha256)
    }
    problem = (
        f"{by.shown} is none of its approvers"
        if question.approvers and by.id not in question.approvers
        else "neither Approve nor Reject was chosen"
        if options not in {(APPROVE,), (REJECT,)}
        else f"the reason {reason_problem(written)}"
        if reason_problem(written) is not None
        else f"{by.shown} has approved already, and a second person is asked for"
        if options == (APPROVE,) and by.id in approved_by
        else None
    )
    if problem is not None:
        return answered(Answer.VOID, problem)
    return answered(Answer.APPROVED if options == (APPROVE,) else Answer.REJECTED, str(written).strip())


def missing_approval(
    answers: Iterable[Answered], version: int, judgement_sha256: str, promotion: PromotionSpec
) -> str | None:
    """Say what keeps a version from being promoted, by the answers of its run, oldest first; None where nothing does.

    Of a question that was asked again, because nobody had answered it, the last answer counts.
    """
    counted = (one for one in answers if one.is_about(version, judgement_sha256) and one.answer is not Answer.VOID)
    last = {one.person: one for one in counted}
    for person in range(1, promotion.persons + 1):
        one = last.get(person)
        if one is None:
            asked = "nobody has approved it" if person == 1 else "no second person has approved it"
            return f"model.yaml asks for an approval, and {asked}."
        if one.answer is not Answer.APPROVED:
            return f"{rejection(one)}."
    people = {one.by.id for one in last.values() if one.by is not None}
    if len(people) < promotion.persons:
        return "model.yaml asks for two persons, and one has approved twice."
    return None


def rejection(answered: Answered) -> str:
    """Say that and why something was not approved."""
    if answered.by is None:
        return f"version {answered.version} was not approved: {answered.reason}"
    return f"version {answered.version} was rejected by {answered.who}: {answered.reason}"


def approval(answers: Iterable[Answered]) -> str:
    """Say who approved and why."""
    return "approved by " + "; ".join(f"{one.who}: {one.reason}" for one in answers if one.answer is Answer.APPROVED)


def _person(told: Any) -> Person | None:
    if not isinstance(told, Mapping) or not str(told.get("id") or ""):
        return None
    return Person(id=str(told["id"]), name=str(told.get("name") or ""))


def _written(event: Mapping[str, Any]) -> object:
    form = event.get("params_input")
    return form.get(REASON, "") if isinstance(form, Mapping) else ""
