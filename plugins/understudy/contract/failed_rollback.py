"""A rollback that somebody asked for and that did not happen. Pure."""

from datetime import datetime

from understudy.contract.declared import Fact
from understudy.contract.words import AlertKind

KILLED = "its task was killed"
"""Why, where nothing is left that could say it."""


class FailedRollback(Fact):
    """Say which rollback failed and why."""

    model: str
    run: str
    at: datetime
    why: str = KILLED
    told_to: tuple[str, ...] = ()
    """The receivers that its task has told past the ledger."""

    @property
    def key(self) -> str:
        """Give the key of its alert, the same whoever tells it."""
        return f"{AlertKind.ROLLBACK_FAILED}/{self.model}/{self.run}"
