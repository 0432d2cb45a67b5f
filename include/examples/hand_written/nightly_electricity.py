"""A hand-written Airflow DAG: the operators composed directly, without the factory.

Copy it into ``dags/`` and change what you like. This one runs every night and spends nothing on a search.
"""

from datetime import datetime, timezone

from airflow.sdk import DAG, Param

from understudy.operators import (
    ConcludeOperator,
    DataSanityCheckOperator,
    EvaluateVsChampionOperator,
    PromoteOperator,
    SnapshotDataOperator,
    TrainOperator,
)

MODEL = "electricity"

with DAG(
    dag_id="nightly_electricity",
    schedule="0 2 * * *",
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    params={"reason": Param("", type="string"), "as_of": Param(None, type=["null", "string"], format="date-time")},
    default_args={"owner": "market-ml", "retries": 1},
):
    snapshot = SnapshotDataOperator(task_id="snapshot", model=MODEL, skip_on_refusal=True)
    check = DataSanityCheckOperator(task_id="check", model=MODEL, snapshot=snapshot.output, skip_on_refusal=True)
    train = TrainOperator(task_id="train", model=MODEL, data=check.output)
    evaluate = EvaluateVsChampionOperator(task_id="evaluate", model=MODEL, trained=train.output)
    promote = PromoteOperator(task_id="promote", model=MODEL, evaluated=evaluate.output)
    ConcludeOperator(task_id="outcome", model=MODEL, evaluated=evaluate.output, deployed=promote.output)
