"""Build the DAG that tidies up: wiring only."""

from datetime import timedelta

from airflow.sdk import DAG

from understudy.dag_factory import START, TAG
from understudy.operation_pages import housekeeping_page
from understudy.operators.tidy.mirrors import HOUSEKEEPING
from understudy.operators.tidy.tidy import TidyOperator


def build_housekeeping_dag() -> DAG:
    """Wire the hourly tidying up."""
    with DAG(
        dag_id=HOUSEKEEPING,
        schedule="@hourly",
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=[TAG, "operations"],
        doc_md=housekeeping_page(),
        description="Remove stages, mirrors and canaries that nobody waits for, and old run folders.",
        default_args={"owner": TAG, "retries": 1, "retry_delay": timedelta(minutes=1)},
    ) as dag:
        TidyOperator(task_id="tidy")
    return dag
