"""What people are told of a question that waits: that its time runs out, and that an answer did not count."""

from datetime import datetime

from understudy.contract.alerts.alert import Alert
from understudy.contract.approval import Question
from understudy.contract.cards.text import LONGEST_LINE, shortened
from understudy.contract.read_facts import read_as
from understudy.contract.release import LedgerEntry
from understudy.contract.words import AlertKind, EntryKind
from understudy.hooks.alerting.pages import answer_page
from understudy.hooks.alerting.terms import alert_terms
from understudy.hooks.approvals import waiting
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import Settings


def reminders(ledger: Ledger, chosen: Settings, now: datetime) -> list[Alert]:
    """Remind of each question once, from the moment that its declaration names until its time is up."""
    kind = AlertKind.APPROVAL_REMINDER
    return [
        Alert(
            key=f"{kind}/{one.model}/{one.seq}",
            kind=kind,
            model=one.model,
            at=one.question.remind_at,
            sentence=shortened(one.sentence, LONGEST_LINE),
            seq=one.seq,
            page=answer_page(one.question),
            runbook=alert_terms(chosen, one.model).runbook_of(kind, chosen.alerts_runbooks),
        )
        for one in waiting(ledger, now)
        if one.is_late(now) and now < one.question.until
    ]


def void_answer(ledger: Ledger, entry: LedgerEntry, alert: Alert) -> Alert:
    """Say whose answer did not count and why: somebody believes that they have answered."""
    asked = ledger.entries(entry.model, [EntryKind.APPROVAL_ASKED], entry.run, before=entry.seq, newest_first=True)
    questions = (read_as(Question, told.facts) for told in asked)
    mine = next((one for one in questions if one and one.person == entry.facts.get("person")), None)
    sentence = f"{entry.model}: the answer of {entry.actor} does not count, so it is asked again: {entry.reason}"
    return alert.model_copy(
        update={
            "sentence": shortened(sentence, LONGEST_LINE),
            "page": answer_page(mine) if mine is not None else alert.page,
        }
    )
