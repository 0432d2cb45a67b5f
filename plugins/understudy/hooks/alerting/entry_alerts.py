"""What people are told of one ledger entry, by what came before it."""

from collections.abc import Callable

from understudy.contract.alerts.alert import Alert, alert_of
from understudy.contract.alerts.cause import told_of
from understudy.contract.alerts.undecided import TRIALS, Streak, blind_looks, undecided_runs
from understudy.contract.release import LedgerEntry
from understudy.contract.words import AlertKind, EntryKind
from understudy.hooks.alerting.approval_alerts import void_answer
from understudy.hooks.alerting.pages import page_of, pages
from understudy.hooks.alerting.terms import alert_terms
from understudy.hooks.cards import card_of_entry
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import Settings

PAGE = 50
"""How many entries are read at once to see how long nothing could be decided."""
LONGEST_STREAK = 1_000
"""How many entries are read at most; a longer row was told long ago, and where it began is no longer known."""


def entry_alerts(ledger: Ledger, chosen: Settings, entry: LedgerEntry) -> list[Alert]:
    """Make the alerts of an entry; none of most."""
    terms = alert_terms(chosen, entry.model)
    before, is_whole = _before(ledger, entry)
    told = told_of(entry, before, terms.inconclusive_after)
    if not is_whole:
        told = tuple(one for one in told if one.kind is not AlertKind.INCONCLUSIVE)
    if not any(terms.tells(one.kind) for one in told):
        return []
    card, page = card_of_entry(ledger, entry), page_of(entry.model, entry.seq)
    alerts = [
        alert_of(
            card,
            one.kind,
            one.key,
            page=page,
            runbook=terms.runbook_of(one.kind, chosen.alerts_runbooks),
            pages=pages(),
        )
        for one in told
    ]
    return [void_answer(ledger, entry, alert) if alert.kind is AlertKind.ANSWER_VOID else alert for alert in alerts]


def _before(ledger: Ledger, entry: LedgerEntry) -> tuple[list[LedgerEntry], bool]:
    """Read what says whether an entry is news: its run, what served before it, the looks and runs before it.

    Also return whether that reaches back to the beginning of a row that could not decide.
    """
    if entry.kind is EntryKind.MONITORED:
        return _back_to_a_decision(ledger, entry, (EntryKind.MONITORED,), blind_looks)
    if entry.kind is not EntryKind.CONCLUDED:
        kinds = (EntryKind.DEPLOYED,)
        return ledger.entries(entry.model, kinds, before=entry.seq, limit=1, newest_first=True), True
    earlier, is_whole = _back_to_a_decision(ledger, entry, (*TRIALS, EntryKind.CONCLUDED), undecided_runs)
    if entry.run is not None:
        earlier += ledger.entries(entry.model, [EntryKind.GUARDED, EntryKind.DEPLOYED], run=entry.run)
    return earlier, is_whole


def _back_to_a_decision(
    ledger: Ledger,
    entry: LedgerEntry,
    kinds: tuple[EntryKind, ...],
    streak_of: Callable[[list[LedgerEntry]], Streak],
) -> tuple[list[LedgerEntry], bool]:
    earlier, before = list[LedgerEntry](), entry.seq
    while len(earlier) < LONGEST_STREAK:
        page = ledger.entries(entry.model, kinds, before=before, limit=PAGE, newest_first=True)
        earlier += page
        if len(page) < PAGE or streak_of([entry, *earlier]).is_whole:
            return earlier, True
        before = page[-1].seq
    return earlier, False
