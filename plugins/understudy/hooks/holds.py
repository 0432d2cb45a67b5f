"""Holds: a person keeps a model's challengers from its callers until somebody releases it."""

from datetime import datetime

from understudy.contract.declared import Fact
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind

HOLDING = (EntryKind.HELD, EntryKind.RELEASED)


class Hold(Fact):
    """Say who holds a model, since when and why."""

    actor: str
    at: datetime
    reason: str


def hold_in(newest_first: list[LedgerEntry]) -> Hold | None:
    """Read from holds and releases, the newest first, whether the model is held."""
    if not newest_first or newest_first[0].kind is not EntryKind.HELD:
        return None
    entry = newest_first[0]
    return Hold(actor=entry.actor, at=entry.at, reason=entry.reason)
