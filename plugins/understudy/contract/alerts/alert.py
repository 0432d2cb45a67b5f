"""What people are told without asking: one message, and how a ledger entry becomes one. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from understudy.contract.cards.card import Card
from understudy.contract.cards.places import NOWHERE, Pages
from understudy.contract.cards.text import LONGEST_LINE, markdown, measured_in_short, one_line, shortened, shown
from understudy.contract.declared import Fact
from understudy.contract.judgement import GateResult
from understudy.contract.words import AlertKind, Severity

SHOWN_NUMBERS = 5
LONGEST_SUBJECT = 150
LONGEST_NUMBER = 300
_ANSWERED = {AlertKind.APPROVAL_REMINDER, AlertKind.ANSWER_VOID}


class Alert(Fact):
    """Tell one thing that happened. Two alerts with the same key are one."""

    key: str
    kind: AlertKind
    model: str
    """Empty where it is about no single model, such as a gateway."""
    at: datetime
    sentence: str
    """What happened, in one line."""
    numbers: tuple[str, ...] = ()
    """The answers that decided it, one line each."""
    seq: int | None = None
    """The ledger entry that is told, where it is one."""
    page: str | None = None
    """The address of its card, else of the model; where it wants an answer, the address that takes one."""
    runbook: str | None = None
    """Where to read what to do."""
    card: str = ""
    """The decision's card in Markdown, where it is about a ledger entry."""
    is_test: bool = False
    """Whether this is only a test of the receiver."""

    @property
    def severity(self) -> Severity:
        """Say how soon somebody has to look."""
        return self.kind.severity

    @property
    def page_title(self) -> str:
        """Say what one does at its page."""
        return "Answer" if self.kind in _ANSWERED else "Open the card"

    @property
    def subject(self) -> str:
        """Give the subject line, which no line break in the name of a model can end."""
        if self.is_test:
            return "[test] Understudy tries its alerts"
        about = f" of {self.model}" if self.model else ""
        return shortened(f"[{self.severity}] {self.kind.value.replace('_', ' ')}{about}", LONGEST_SUBJECT)


def alert_of(
    card: Card, kind: AlertKind, key: str, *, page: str | None, runbook: str | None, pages: Pages = NOWHERE
) -> Alert:
    """Tell a decision by its card: the sentence, the numbers that decided, and the whole of it.

    :param pages: where what the card points to can be read.
    """
    answers = [answer for evidence in card.evidence[:1] for answer in shown(evidence.answers)]
    deciding = [answer for answer in answers if answer.verdict.value != "passed"] or answers
    return Alert(
        key=key,
        kind=kind,
        model=card.model,
        at=card.at,
        sentence=one_line(card),
        numbers=tuple(_told(answer) for answer in (*deciding, *card.data)[:SHOWN_NUMBERS]),
        seq=card.seq,
        page=page,
        runbook=runbook,
        card=markdown(card, pages),
    )


def summary_of(alerts: Sequence[Alert]) -> Alert:
    """Tell many alerts of one model in one message; the most severe one gives it its kind."""
    worst = min(alerts, key=lambda alert: list(Severity).index(alert.severity))
    newest = max(alerts, key=lambda alert: alert.at)
    counted = ", ".join(f"{count} {kind.value.replace('_', ' ')}" for kind, count in _counts(alerts))
    about = f"{worst.model}: " if worst.model else ""
    return worst.model_copy(
        update={
            "key": f"{worst.key}/and {len(alerts) - 1} more",
            "sentence": shortened(
                f"{about}{len(alerts)} alerts were held back by the limit per hour: {counted}", LONGEST_LINE
            ),
            "numbers": tuple(
                shortened(alert.sentence, LONGEST_NUMBER) for alert in sorted(alerts, key=lambda alert: alert.at)
            )[-SHOWN_NUMBERS:],
            "at": newest.at,
            "card": "",
        }
    )


def _counts(alerts: Iterable[Alert]) -> list[tuple[AlertKind, int]]:
    told = [alert.kind for alert in alerts]
    return [(kind, told.count(kind)) for kind in AlertKind if kind in told]


def _told(answer: GateResult) -> str:
    told = f"{answer.gate}: {answer.verdict}, {measured_in_short(answer)}; {answer.bound}; {answer.sentence}"
    return shortened(told, LONGEST_NUMBER)
