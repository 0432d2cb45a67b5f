"""Tell people at once what a task has decided; what cannot be told now is told by the next sweep."""

import logging

from understudy.contract.errors import UnderstudyError
from understudy.hooks.connect import Hooks

log = logging.getLogger(__name__)


def tell_now(hooks: Hooks) -> None:
    """Send the alerts that are due; a decision never fails because nobody could be told of it."""
    try:
        told = hooks.alerts.tell()
    except UnderstudyError as unreachable:
        log.warning("alerts are left to the next sweep: %s", unreachable)
        return
    for problem in told.problems:
        log.warning("%s", problem)
