"""Locks: a person keeps a version champion until somebody unlocks it."""

from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind


def locks_in(entries: list[LedgerEntry]) -> dict[int, str]:
    """Map the versions that locks and unlocks, oldest first, leave locked to the reasons."""
    locks: dict[int, str] = {}
    for entry in entries:
        version = int(str(entry.facts["version"]))
        if entry.kind is EntryKind.LOCKED:
            locks[version] = entry.reason
        else:
            locks.pop(version, None)
    return locks
