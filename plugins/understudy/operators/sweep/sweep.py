"""Look for what nobody has told: decisions of tasks that died, and what is wrong without anybody deciding anything."""

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from understudy.contract.alerts.failed_rollback import FailedRollback
from understudy.contract.read_facts import read_as
from understudy.hooks.alerting.alerts import Delivered
from understudy.hooks.alerting.direct_alerts import ToldDirectly, tell_directly
from understudy.hooks.alerting.ledger_alert import ledger_alert
from understudy.hooks.alerting.life import note_sweep
from understudy.hooks.alerting.rollback_alert import rollback_alert
from understudy.hooks.conditions.conditions import conditions
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.cut_off_runs import conclude_cut_off
from understudy.hooks.errors import LedgerDamaged, LedgerUnavailable
from understudy.operators.alerting import TOLD_KEY
from understudy.operators.other_runs import OtherRuns
from understudy.operators.sweep.broken_drills import broken_drills
from understudy.operators.sweep.broken_housekeeping import broken_housekeeping
from understudy.operators.sweep.broken_requests import broken_requests
from understudy.operators.sweep.failed_rollbacks import failed_rollbacks
from understudy.operators.sweep.late_rollback import finish_rollbacks

if TYPE_CHECKING:
    from airflow.sdk import Context


SEEN_KEY = "seen"
"""The XCom of a sweep that told all that it heard: marks of what there was to hear, by DAG."""


class SweepAlertsOperator(BaseOperator):
    """Tell what the ledger, Airflow, the declarations and the gateways show and nobody was told yet.

    A receiver that takes nothing does not fail the task: its messages wait in the outbox. Without the ledger there is
    none, and the sweep fails; the first one that does tells so itself, and which rollbacks failed meanwhile.
    """

    ui_color = "#eeeeee"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Return what was found and sent."""
        ti: Any = context["ti"]
        # The clock's time and not the run's: a run that was late must not tell yesterday's news as today's.
        hooks, now = connect(), datetime.now(timezone.utc)
        earlier = read_as(ToldDirectly, self._left_before(context, now, TOLD_KEY)) or ToldDirectly()
        runs = OtherRuns(ti, self._left_before(context, now, SEEN_KEY) or {})
        failed = list(failed_rollbacks(runs, now))
        try:
            told = self._sweep(runs, hooks, failed, earlier, now)
        except (LedgerUnavailable, LedgerDamaged) as problem:
            self._tell_past_the_ledger(context, hooks, problem, failed, earlier, now)
            raise
        ti.xcom_push(key=SEEN_KEY, value=runs.seen)
        # Nothing was told past the ledger; the next sweep asks, and Airflow calls it an error when there is no answer.
        ti.xcom_push(key=TOLD_KEY, value=ToldDirectly().model_dump(mode="json"))
        self.log.info("%s new alerts, %s messages sent", told.found, told.sent)
        for line in told.problems:
            self.log.warning("%s", line)
        return told.model_dump(mode="json")

    def _sweep(
        self, runs: OtherRuns, hooks: Hooks, failed: list[FailedRollback], earlier: ToldDirectly, now: datetime
    ) -> Delivered:
        # First, so that what has come of it is told; which is news, and not of the moment when the sweep began.
        finish_rollbacks(hooks, runs, now)
        conclude_cut_off(hooks, runs)
        now = datetime.now(timezone.utc)
        found = [
            *conditions(hooks, now, runs),
            *broken_drills(hooks.ledger, runs, now),
            *broken_housekeeping(now, runs),
            *broken_requests(runs, now),
        ]
        told = hooks.alerts.sweep(found, failed, earlier, now)
        note_sweep(hooks.ledger, datetime.now(timezone.utc))
        return told

    def _tell_past_the_ledger(  # noqa: PLR0917 - what the sweep knew when the ledger failed it
        self,
        context: "Context",
        hooks: Hooks,
        problem: LedgerUnavailable | LedgerDamaged,
        failed: list[FailedRollback],
        earlier: ToldDirectly,
        now: datetime,
    ) -> None:
        chosen = hooks.settings
        alerts = [ledger_alert(chosen, problem, earlier, now), *(rollback_alert(chosen, one) for one in failed)]
        told = tell_directly(chosen, alerts, earlier.and_also(failed))
        for line in told.problems:
            self.log.warning("%s", line)
        context["ti"].xcom_push(key=TOLD_KEY, value=told.model_dump(mode="json"))

    def _left_before(self, context: "Context", now: datetime, key: str) -> Any:
        """Read what the sweep before has left under a key: only one that the ledger failed has told past it."""
        ti: Any = context["ti"]
        # A sweep that a person started has no place in the row, and Airflow would take any other for the one before.
        before = ti.get_previous_ti(logical_date=context["dag_run"].logical_date or now)
        if before is None:
            return None
        return ti.xcom_pull(
            dag_id=before.dag_id, run_id=before.run_id, task_ids=before.task_id, key=key, map_indexes=-1
        )
