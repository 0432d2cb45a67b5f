"""Look for what nobody has told: decisions of tasks that died, and what is wrong without anybody deciding anything."""

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowRuntimeError

from understudy.hooks.alert_conditions import conditions
from understudy.hooks.alert_life import note_sweep
from understudy.hooks.connect import connect

if TYPE_CHECKING:
    from airflow.sdk import Context


class SweepAlertsOperator(BaseOperator):
    """Tell what the ledger, Airflow, the declarations and the gateways show and nobody was told yet.

    A receiver that takes nothing does not fail the task: its messages wait in the outbox.
    """

    ui_color = "#eeeeee"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Return what was found and sent."""
        ti: Any = context["ti"]

        def state_of(dag_id: str, run_id: str) -> str | None:
            try:
                # One of Airflow's enums: equal to its value, which its text is not from Python 3.11 on.
                state: str = ti.get_dagrun_state(dag_id=dag_id, run_id=run_id)
            except AirflowRuntimeError:
                return None  # the run was deleted
            return state

        # The clock's time and not the run's: a run that was late must not tell yesterday's news as today's.
        hooks, now = connect(), datetime.now(timezone.utc)
        told = hooks.alerts.sweep(conditions(hooks, now, state_of), now)
        note_sweep(hooks.ledger, datetime.now(timezone.utc))
        self.log.info("%s new alerts, %s messages sent", told.found, told.sent)
        for problem in told.problems:
            self.log.warning("%s", problem)
        return told.model_dump(mode="json")
