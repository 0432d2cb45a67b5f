"""Build the DAG that tells what nobody else could tell: wiring only."""

from datetime import timedelta

from airflow.sdk import DAG

from understudy.dag_factory import START, TAG
from understudy.operation_pages import alerts_page
from understudy.operators.sweep.sweep import SweepAlertsOperator


def build_alerts_dag() -> DAG:
    """Wire the sweep, every five minutes."""
    with DAG(
        dag_id="alerts",
        schedule="*/5 * * * *",
        start_date=START,
        catchup=False,
        max_active_runs=1,
        # A sweep that hangs must not keep the next one from telling.
        dagrun_timeout=timedelta(minutes=15),
        tags=[TAG, "operations"],
        doc_md=alerts_page(),
        description="Tell people what happened and what is wrong, once.",
        default_args={"owner": TAG, "retries": 0},
    ) as dag:
        SweepAlertsOperator(task_id="sweep")
    return dag
