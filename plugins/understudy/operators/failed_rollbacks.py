"""Ask Airflow which rollbacks failed: a task that was killed, or that a person failed, tells nobody itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

from understudy.contract.failed_rollback import KILLED, FailedRollback
from understudy.contract.read_facts import read_as
from understudy.hooks.direct_alerts import ToldDirectly
from understudy.operators.alerting import TOLD_KEY
from understudy.operators.decisions import PROBLEM_KEY, REFUSAL_KEY
from understudy.workspace import run_key

if TYPE_CHECKING:
    from airflow.sdk.types import DagRunProtocol

ROLLBACK = "rollback"
"""The DAG, and its task, by which somebody takes a model back."""
OLD_NEWS = timedelta(days=7)
"""A rollback that failed longer ago is not told any more: whoever needed it has done something else."""
FAILED = "failed"
DONE = {"success"}


def failed_rollbacks(ti: Any, now: datetime) -> Iterator[FailedRollback]:
    """List the rollbacks that Airflow has failed, whatever became of their tasks.

    :param ti: the task instance that asks, as Airflow hands it to a task.
    """
    for run_id, states in ti.get_task_states(dag_id=ROLLBACK).items():
        # A run that a person fails may leave its task skipped, so only the run itself says that it failed.
        run = None if set(states.values()) <= DONE else _run(run_id)
        if run is None or run.state != FAILED or run.end_date is None or now - run.end_date > OLD_NEWS:
            continue
        asked = run.conf or {}
        if asked.get("dry_run"):
            continue
        refusal, problem, told = (
            ti.xcom_pull(dag_id=ROLLBACK, run_id=run_id, task_ids=ROLLBACK, key=key, map_indexes=-1)
            for key in (REFUSAL_KEY, PROBLEM_KEY, TOLD_KEY)
        )
        failed = FailedRollback(
            model=str(asked.get("model", "")),
            run=run_key(run_id),
            at=run.end_date,
            why=str(refusal or problem or KILLED),
            is_refused=bool(refusal and run.triggering_user_name),
        )
        already = read_as(ToldDirectly, told) or ToldDirectly()
        yield failed.model_copy(update={"told_to": already.to.get(failed.key, ())})


def _run(run_id: str) -> "DagRunProtocol | None":
    from airflow.sdk.execution_time.comms import GetDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    try:
        # What a task instance gives of another run is its state alone; the form's values are wanted too.
        run: Any = SUPERVISOR_COMMS.send(GetDagRun(dag_id=ROLLBACK, run_id=run_id))
    except AirflowRuntimeError:
        return None  # it was deleted meanwhile
    return run  # type: ignore[no-any-return]
