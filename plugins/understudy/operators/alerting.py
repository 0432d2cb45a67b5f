"""Tell people at once what a task has decided; what cannot be told now is told by the next sweep."""

import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from understudy.contract.alerts.failed_rollback import KILLED, FailedRollback
from understudy.contract.errors import UnderstudyError
from understudy.hooks.alerting.direct_alerts import ToldDirectly, tell_directly
from understudy.hooks.alerting.rollback_alert import rollback_alert
from understudy.hooks.connect import Hooks, connect
from understudy.operators.errors import RollbackRefused
from understudy.operators.run_context import run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

    from understudy.contract.alerts.alert import Alert

log = logging.getLogger(__name__)
TOLD_KEY = "told_directly"
"""The XCom of a task that told people of something while the ledger was down: who took which alert."""


def tell_now(hooks: Hooks) -> None:
    """Send the alerts that are due; a decision never fails because nobody could be told of it."""
    try:
        told = hooks.alerts.tell()
    except UnderstudyError as unreachable:
        log.warning("alerts are left to the next sweep: %s", unreachable)
        return
    except Exception:
        # The decision stands and is recorded. Whatever keeps people from being told will meet the sweep too, which
        # turns red.
        log.exception("alerts are left to the next sweep")
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
    hooks = connect()
    # A program that is told no cannot see to it; a person who pressed the button can.
    is_refused = isinstance(problem, RollbackRefused) and bool(context["dag_run"].triggering_user_name)
    at = datetime.now(timezone.utc)
    alert = rollback_alert(hooks.settings, FailedRollback(model=model, run=run, at=at, why=why, is_refused=is_refused))
    try:
        hooks.alerts.put([alert])
    except UnderstudyError as unreachable:
        log.warning("the rollback of %s failed, and is told past the ledger: %s", model, unreachable)
        _tell_past_the_ledger(context, hooks, alert)
        return
    tell_now(hooks)


def _tell_past_the_ledger(context: "Context", hooks: Hooks, alert: "Alert") -> None:
    told = tell_directly(hooks.settings, [alert], ToldDirectly())
    for problem in told.problems:
        log.warning("%s", problem)
    if context.get("exception") is not None:
        # For a task that was lost this is the DAG processor, whose supervisor takes no XCom and never says so.
        context["ti"].xcom_push(key=TOLD_KEY, value=told.model_dump(mode="json"))
