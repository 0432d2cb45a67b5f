"""The newest entries of every model, remembered: the ledger only grows, so each look reads what came since the last."""

from collections.abc import Iterable

from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks.ledger.ledger import Ledger


class NewestEntries:
    """Hold the newest entry of some kinds of each model, all of other kinds, and the record that began each champion.

    :param newest: the kinds of which the newest entry counts.
    :param standing: the kinds of which every entry counts.
    """

    def __init__(self, ledger: Ledger, newest: Iterable[EntryKind], standing: Iterable[EntryKind]) -> None:
        self._ledger = ledger
        self._newest, self._standing = tuple(newest), tuple(standing)
        self._seen = 0
        self.newest: dict[str, dict[EntryKind, LedgerEntry]] = {}
        self.standing: dict[str, list[LedgerEntry]] = {}
        self.founding: dict[str, LedgerEntry] = {}

    def catch_up(self, until: int) -> None:
        """Read what came up to an entry since the last time, in three queries at most.

        :raises LedgerUnavailable, LedgerDamaged: and nothing is changed.
        """
        if until <= self._seen:
            return
        standing = self._ledger.entries(kinds=self._standing, after=self._seen, before=until + 1)
        # What is newer than ``until`` comes once more, and changes nothing then.
        fresh = self._ledger.newest(*self._newest, after=self._seen)
        self.founding.update(self._founding_of([entry for entry in fresh if entry.kind is EntryKind.DEPLOYED]))
        for entry in standing:
            self.standing.setdefault(entry.model, []).append(entry)
        for entry in fresh:
            self.newest.setdefault(entry.model, {})[entry.kind] = entry
        self._seen = until

    def _founding_of(self, deployed: list[LedgerEntry]) -> dict[str, LedgerEntry]:
        found: dict[str, LedgerEntry] = {}
        wanted: list[str] = []
        for entry in deployed:
            record = entry.deployment
            if record.epoch == record.champion_since:
                found[entry.model] = entry
            else:
                wanted.append(f"deployed:{entry.model}:{record.champion_since}")
        return {**found, **{entry.model: entry for entry in (self._ledger.keyed(wanted) if wanted else ())}}
