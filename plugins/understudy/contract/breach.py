"""What a new champion did in its probation that it must not do, and what became of it. Pure."""

from collections.abc import Iterable, Sequence

from understudy.contract.read_facts import read_as
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import Change, EntryKind, Outcome

BREACHES = (EntryKind.GUARDED, EntryKind.MONITORED)
"""The kinds of entries that may say that a champion has to be taken back."""
_FLAGS = {EntryKind.GUARDED: "breach", EntryKind.MONITORED: "is_breach"}


def is_breach(entry: LedgerEntry) -> bool:
    """Tell whether a guard, or a look within the probation, has said that the champion has to be taken back."""
    return entry.kind in _FLAGS and entry.facts.get(_FLAGS[entry.kind]) is True


def breach_in(entries: Iterable[LedgerEntry]) -> LedgerEntry | None:
    """Give the breach that a run has found; None where it found none."""
    return next((entry for entry in entries if is_breach(entry)), None)


def rollback_in(entries: Iterable[LedgerEntry]) -> Deployment | None:
    """Give the record by which a run took a champion back; None where it wrote none."""
    return _change_in(entries, Change.ROLLBACK)


def promotion_in(entries: Iterable[LedgerEntry]) -> Deployment | None:
    """Give the record by which a run made a champion; None where it wrote none."""
    return _change_in(entries, Change.PROMOTION)


def _change_in(entries: Iterable[LedgerEntry], change: Change) -> Deployment | None:
    records = (read_as(Deployment, entry.facts.get("deployment")) for entry in entries)
    return next((record for record in records if record is not None and record.change is change), None)


def has_moved(since: Sequence[LedgerEntry]) -> bool:
    """Tell whether another champion came by one of these deployment records; a broken record is taken for one."""
    records = (read_as(Deployment, entry.facts.get("deployment")) for entry in since)
    return any(record is None or record.change.moves_champion for record in records)


def taken_back(version: int, back: int, why: str) -> str:
    """Say that a version is gone, and which one answers instead."""
    return f"version {version} was taken back and version {back} serves again: {why}"


def not_taken_back(version: int, why: str, serves: str = "still serves") -> str:
    """Say that a version that has to go serves all the same.

    :param serves: says until when, where that is read long afterwards.
    """
    return f"version {version} has to go and was NOT taken back, it {serves}: {why}"


def end_of_breach(
    version: int, breach: LedgerEntry, back: Deployment | None, *, moved: bool, told: str | None = None
) -> tuple[Outcome, str]:
    """Say how a run ended whose guard found that the version had to go, and could not say itself what came of it.

    :param back: the record by which the run took it back.
    :param moved: whether another champion has come since.
    :param told: why it was not taken back, where the guard could say so; a refusal repeats what was seen.
    """
    if back is not None:
        return Outcome.ROLLED_BACK, taken_back(version, back.champion.version, breach.reason)
    if moved:
        return Outcome.BROKEN, f"version {version} had to go, and another decision has replaced it: {breach.reason}"
    why = told or f"{breach.reason}; its guard was ended before it could act"
    return Outcome.BROKEN, not_taken_back(version, why, "served on when this run ended")
