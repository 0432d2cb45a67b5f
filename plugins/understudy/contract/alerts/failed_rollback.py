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
    is_refused: bool = False
    """Whether a person asked for it and was told no: that is no emergency, and nothing was changed."""
    told_to: tuple[str, ...] = ()
    """The receivers that its task has told past the ledger."""

    @property
    def kind(self) -> AlertKind:
        """Say as what it is told."""
        return AlertKind.REFUSED if self.is_refused else AlertKind.ROLLBACK_FAILED

    @property
    def key(self) -> str:
        """Give the key of its alert, the same whoever tells it."""
        return f"{self.kind}/{self.model}/{self.run}"
