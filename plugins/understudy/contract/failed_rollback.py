"""A rollback that somebody asked for and that did not happen. Pure."""

from datetime import datetime

from understudy.contract.declared import Fact

KILLED = "its task was killed"
"""Why, where nothing is left that could say it."""


class FailedRollback(Fact):
    """Say which rollback failed and why."""

    model: str
    run: str
    at: datetime
    why: str = KILLED
