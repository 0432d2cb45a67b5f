"""Ask Airflow, from within a task, about the runs of other DAGs."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

from understudy.hooks.known_runs import DONE, FAILED, RUNNING, KnownRun

if TYPE_CHECKING:
    from airflow.sdk.types import DagRunProtocol

OLD_NEWS = timedelta(days=7)
"""What failed longer ago is not told any more: whoever needed it has done something else."""
OVER = {FAILED, DONE}


class OtherRuns:
    """Ask as one task.

    :param ti: the task instance that asks, as Airflow hands it to a task.
    """

    def __init__(self, ti: Any) -> None:
        self._ti = ti

    def state(self, dag_id: str, run_id: str) -> str | None:
        """Give the state of a run; None where it was deleted."""
        try:
            # One of Airflow's enums: equal to its value, which its text is not from Python 3.11 on.
            state: str = self._ti.get_dagrun_state(dag_id=dag_id, run_id=run_id)
        except AirflowRuntimeError:
            return None
        return state

    def newest(self, dag_id: str, before: datetime, state: str | None = None) -> KnownRun | None:
        """Give the run of the newest time on the DAG's schedule; what a person or an event began has no such time."""
        from airflow.sdk.execution_time.comms import GetPreviousDagRun

        found = _asked(GetPreviousDagRun(dag_id=dag_id, logical_date=before, state=state)).dag_run
        if found is None:
            return None
        return KnownRun(
            run_id=found.run_id, state=found.state.value, begun_at=found.start_date, ended_at=found.end_date
        )

    def is_any_running(self, dag_id: str) -> bool:
        """Tell whether a run is under way, whoever began it."""
        return bool(self._ti.get_dr_count(dag_id=dag_id, states=[RUNNING]))

    def failed(self, dag_id: str, now: datetime) -> "Iterator[DagRunProtocol]":
        """List the runs that Airflow has failed, whatever became of their tasks."""
        return (run for run, _ in self.undone(dag_id, now) if run.state == FAILED)

    def undone(self, dag_id: str, now: datetime) -> "Iterator[tuple[DagRunProtocol, Mapping[str, str | None]]]":
        """List the runs that are over and of which not every task succeeded, and the states of the tasks."""
        from airflow.sdk.execution_time.comms import GetDagRun

        for run_id, tasks in self._ti.get_task_states(dag_id=dag_id).items():
            # A run that a person fails may leave its tasks skipped, so only the run itself says that it failed.
            if set(tasks.values()) <= {DONE}:
                continue
            try:
                # What a task instance gives of another run is its state alone; the form's values are wanted too.
                run = _asked(GetDagRun(dag_id=dag_id, run_id=run_id))
            except AirflowRuntimeError:
                continue  # it was deleted meanwhile
            if run.state in OVER and run.end_date is not None and now - run.end_date <= OLD_NEWS:
                yield run, tasks

    def left(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """Read what a task of a run has left; None where it left nothing."""
        return self._ti.xcom_pull(dag_id=dag_id, run_id=run_id, task_ids=task_id, key=key, map_indexes=-1)


def _asked(question: Any) -> Any:
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    return SUPERVISOR_COMMS.send(question)
