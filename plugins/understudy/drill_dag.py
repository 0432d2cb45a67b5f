"""Build the DAG that drills a rollback: wiring only."""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param

from understudy.contract.drill import DRILL_DAG
from understudy.dag_factory import START, TAG, retry_policy
from understudy.operation_pages import drill_page
from understudy.operators.drill.drill import ClearSandboxOperator, DrillOperator
from understudy.operators.drill.models import DrillModelsOperator
from understudy.settings import settings

SLACK = timedelta(minutes=10)
"""How long a drill may take beside what it measures: registering, promoting, clearing."""


def build_drill_dag() -> DAG:
    """Wire models → drill → clear, the last one whatever happens."""
    chosen = settings()
    schedule = CronTriggerTimetable(chosen.drill_schedule, timezone="UTC") if chosen.drill_schedule else None
    with DAG(
        dag_id=DRILL_DAG,
        schedule=schedule,
        start_date=None if schedule else START,
        catchup=False,
        max_active_runs=1,
        tags=[TAG, "operations"],
        doc_md=drill_page(chosen.drill_detect_within, chosen.drill_reverse_within),
        description="Ship a bad model into a sandbox and see that it is taken back in time.",
        default_args={"owner": TAG, "retries": 2, "retry_delay": timedelta(seconds=10), "retry_policy": retry_policy()},
        params={
            "turned": Param(
                1.0,
                type="number",
                minimum=0,
                maximum=1,
                title="Turned labels",
                description="How bad the bad model is. With 0 it is as good as the other, and the drill has to fail.",
            )
        },
    ) as dag:
        models = DrillModelsOperator(task_id="models", turned="{{ params.turned }}")
        drill = DrillOperator(
            task_id="drill",
            models=models.output,
            # What was rolled back is denied for ever, so a second try would need other models.
            retries=0,
            execution_timeout=chosen.drill_detect_within + chosen.drill_reverse_within + SLACK,
        )
        clear = ClearSandboxOperator(task_id="clear").as_teardown()
        drill >> clear
    return dag
