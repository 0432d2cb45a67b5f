"""Read the ledger for a decision card: the decision, its run, and what it has to be compared with."""

from understudy.contract.cards.card import Card, card_of
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.ledger.ledger import Ledger

LOOKED_BACK = 50
"""How many judgements of data are searched for the last window that was accepted."""


class UnknownDecision(UnderstudyError):
    """No entry of the ledger has this number."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        super().__init__(f"The ledger has no entry {seq}. Look for the right one with: understudy ledger MODEL")


def card(ledger: Ledger, seq: int) -> Card:
    """Build the card of one decision.

    :raises UnknownDecision: where there is no such entry.
    :raises LedgerUnavailable, LedgerDamaged: where the ledger cannot be read, or was changed.
    """
    found = ledger.entries(after=seq - 1, before=seq + 1)
    if not found:
        raise UnknownDecision(seq)
    return card_of_entry(ledger, found[0])


def card_of_entry(ledger: Ledger, entry: LedgerEntry) -> Card:
    """Build the card of an entry that was read already; raise as :func:`card`."""
    in_run = ledger.entries(entry.model, run=entry.run) if entry.run is not None else []
    return card_of(entry, [*in_run, *_asked(ledger, in_run), *_earlier(ledger, entry, in_run)])


def _asked(ledger: Ledger, in_run: list[LedgerEntry]) -> list[LedgerEntry]:
    """Read the looks that asked for the run."""
    causes = [entry.facts.get("cause") for entry in in_run if entry.kind is EntryKind.TRIGGERED]
    asks = [ask for cause in causes if isinstance(cause, dict) for ask in _listed(cause.get("asks"))]
    seqs = [ask["ledger_seq"] for ask in asks if isinstance(ask, dict) and isinstance(ask.get("ledger_seq"), int)]
    return [entry for seq in seqs for entry in ledger.entries(after=int(seq) - 1, before=int(seq) + 1)]


def _earlier(ledger: Ledger, entry: LedgerEntry, in_run: list[LedgerEntry]) -> list[LedgerEntry]:
    """Read what served before, and the last window of data that an earlier run had accepted."""
    before = min([entry.seq, *(other.seq for other in in_run)])
    deployed = ledger.entries(entry.model, [EntryKind.DEPLOYED], before=entry.seq, limit=1, newest_first=True)
    judged = ledger.entries(entry.model, [EntryKind.DATA_JUDGED], before=before, limit=LOOKED_BACK, newest_first=True)
    accepted = [other for other in judged if other.facts.get("verdict") == Verdict.PASSED.value]
    return [*deployed, *accepted[:1]]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
