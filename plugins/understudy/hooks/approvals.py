"""Questions before a promotion, and their answers, as the ledger keeps them."""

from datetime import datetime, timedelta

from understudy.contract.approval import Answered, Question
from understudy.contract.declared import Fact
from understudy.contract.moment import moment
from understudy.contract.release import LedgerEntry
from understudy.contract.words import Answer, EntryKind
from understudy.hooks.ledger.ledger import Ledger

FORGOTTEN_AFTER = timedelta(days=1)
"""How long after its time is up an unanswered question still waits: its run died without a last word."""


class Waiting(Fact):
    """A question that nobody has answered yet."""

    model: str
    run: str | None
    seq: int
    """The entry that asks."""
    at: datetime
    question: Question

    def is_late(self, now: datetime) -> bool:
        """Tell whether people are to be reminded."""
        return now >= self.question.remind_at

    @property
    def sentence(self) -> str:
        """Say what waits, since when and until when."""
        asked = self.question
        second = " for a second person" if asked.person > 1 else ""
        return (
            f"version {asked.version} of {self.model} waits{second} for an approval since {moment(self.at)} "
            f"and is rejected at {moment(asked.until)}; answer with `understudy approve {self.model}` or "
            f"`reject`, or in Airflow under Required Actions"
        )


def ask(ledger: Ledger, model: str, run: str, question: Question, actor: str) -> Question:
    """Record a question once and return it; one that waits already keeps the time that it has."""
    asked = _open_in(ledger.entries(model, [EntryKind.APPROVAL_ASKED, EntryKind.APPROVAL_ANSWERED], run))
    found = asked.get((model, run, question.person))
    if found is not None and found.question.is_same(question):
        return found.question
    given = sum(one.person == question.person for one in answers(ledger, model, run))
    ledger.append_once(
        f"{model}/{run}/approval_asked/{question.person}/{question.version}/{question.judgement_sha256[:12]}/{given}",
        model,
        EntryKind.APPROVAL_ASKED,
        actor,
        f"version {question.version} passed and waits for an approval until {moment(question.until)}",
        run,
        question.model_dump(mode="json"),
    )
    return question


def record_answer(ledger: Ledger, model: str, run: str, answered: Answered) -> LedgerEntry:
    """Record an answer once, however often its task is run."""
    return ledger.append_once(
        f"{model}/{run}/approval_answered/{answered.person}/{answered.at.isoformat()}",
        model,
        EntryKind.APPROVAL_ANSWERED,
        answered.who,
        answered.reason,
        run,
        answered.model_dump(mode="json"),
    )


def answers(ledger: Ledger, model: str, run: str) -> list[Answered]:
    """List what was answered in a run, oldest first."""
    told = ledger.entries(model, [EntryKind.APPROVAL_ANSWERED], run)
    return [Answered.model_validate(entry.facts) for entry in told]


def waiting(ledger: Ledger, now: datetime, model: str | None = None) -> list[Waiting]:
    """List what waits for an answer, the oldest first."""
    kinds = (EntryKind.APPROVAL_ASKED, EntryKind.APPROVAL_ANSWERED)
    still = _open_in(ledger.entries(model, kinds)).values()
    return [
        one
        for one in sorted(still, key=lambda one: one.seq)
        if now < one.question.until + FORGOTTEN_AFTER and not _is_over(ledger, one)
    ]


def _open_in(told: list[LedgerEntry]) -> dict[tuple[str, str | None, int], Waiting]:
    """Map model, run and person to the question that has no answer yet."""
    # Runs that a schedule begins at the same moment have the same name in all models.
    asked: dict[tuple[str, str | None, int], Waiting] = {}
    for entry in told:
        if entry.kind is EntryKind.APPROVAL_ASKED:
            question = Question.model_validate(entry.facts)
            asked[entry.model, entry.run, question.person] = Waiting(
                model=entry.model, run=entry.run, seq=entry.seq, at=entry.at, question=question
            )
        elif entry.facts["answer"] != Answer.VOID.value:
            asked.pop((entry.model, entry.run, int(str(entry.facts["person"]))), None)
    return asked


def _is_over(ledger: Ledger, one: Waiting) -> bool:
    return any(ended.seq > one.seq for ended in ledger.entries(one.model, [EntryKind.CONCLUDED], one.run))
