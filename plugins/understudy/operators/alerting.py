"""Tell people at once what a task has decided; what cannot be told now is told by the next sweep."""

import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from understudy.contract.errors import UnderstudyError
from understudy.contract.failed_rollback import KILLED, FailedRollback
from understudy.hooks.connect import Hooks, connect
from understudy.operators.run_context import run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

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


def tell_failed_rollback(context: "Context") -> None:
    """Tell that a person's rollback failed, also where Airflow has killed its task; a dry run takes nothing back."""
    asked = {**(context["dag_run"].conf or {}), **dict(context.get("params") or {})}
    if asked.get("dry_run"):
        return
    model, problem = str(asked.get("model", "")), context.get("exception")
    run, why = run_folder(context, model).run, str(problem or KILLED)
    hooks, now = connect(), datetime.now(timezone.utc)
    try:
        hooks.alerts.put([hooks.alerts.failed_rollback(FailedRollback(model=model, run=run, at=now, why=why))])
    except UnderstudyError as unreachable:
        log.error("nobody could be told that the rollback of %s failed: %s", model, unreachable)
        return
    tell_now(hooks)
