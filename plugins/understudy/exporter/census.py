"""What the ledger says of every model, kept up to date from one scrape to the next."""

from understudy.contract.release import Deployment
from understudy.contract.retrainings import Look
from understudy.contract.words import EntryKind
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.ledger.newest_entries import NewestEntries
from understudy.hooks.ledger.tally import Tally, newest_seq

NEWEST = (
    EntryKind.DEPLOYED,
    EntryKind.TRIGGERED,
    EntryKind.CONCLUDED,
    EntryKind.MONITORED,
    EntryKind.JUDGED,
    EntryKind.HELD,
    EntryKind.RELEASED,
    EntryKind.APPROVAL_ASKED,
    EntryKind.APPROVAL_ANSWERED,
    EntryKind.DRILLED,
)
STANDING = (EntryKind.LOCKED, EntryKind.UNLOCKED)
JUDGED = (
    EntryKind.DATA_JUDGED,
    EntryKind.JUDGED,
    EntryKind.REHEARSED,
    EntryKind.CANARIED,
    EntryKind.GUARDED,
)


class Census:
    """Remember the newest entries of all models, and counts of all of them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.entries = NewestEntries(ledger, NEWEST, STANDING)
        self.outcomes = Tally(ledger, [EntryKind.CONCLUDED], "outcome")
        self.verdicts = Tally(ledger, JUDGED, "verdict")
        self.changes = Tally(ledger, [EntryKind.DEPLOYED], "deployment.change")
        self.size = 0
        self.records: dict[str, Deployment] = {}
        self.looks: dict[str, Look] = {}

    def catch_up(self) -> None:
        """Read what is new. Raise LedgerUnavailable or LedgerDamaged."""
        until = newest_seq(self.ledger)
        if until == self.size:
            return
        self.entries.catch_up(until)
        for tally in (self.outcomes, self.verdicts, self.changes):
            tally.catch_up(until)
        self._read()
        self.size = until

    def _read(self) -> None:
        """Read the facts of what is new; a scrape that finds nothing new reads none again."""
        for model, newest in self.entries.newest.items():
            deployed, looked = newest.get(EntryKind.DEPLOYED), newest.get(EntryKind.MONITORED)
            if deployed is not None and deployed.seq > self.size:
                self.records[model] = Deployment.model_validate(deployed.facts["deployment"])
            if looked is not None and looked.seq > self.size:
                self.looks[model] = Look.model_validate(looked.facts)
