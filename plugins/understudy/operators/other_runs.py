"""Ask Airflow, from within a task, about the runs of other DAGs."""

from collections.abc import Iterator, Mapping, Set
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

from understudy.hooks.conditions.known_runs import DONE, FAILED, RUNNING, KnownRun

if TYPE_CHECKING:
    from airflow.sdk.types import DagRunProtocol

OLD_NEWS = timedelta(days=7)
"""What failed longer ago is not told any more: whoever needed it has done something else."""
OVER = {FAILED, DONE}
UNDONE = ["failed", "upstream_failed", "skipped", "removed"]
"""The states in which a task ends without having done its work."""


class OtherRuns:
    """Ask as one task.

    :param ti: the task instance that asks, as Airflow hands it to a task.
    :param seen: what was left in ``seen`` by the last one that asked for the same and told all that it heard.
    """

    def __init__(self, ti: Any, seen: Mapping[str, str] = MappingProxyType({})) -> None:
        self._ti, self._seen_before = ti, seen
        self.seen: dict[str, str] = {}
        """By DAG, a mark of its runs that failed; with the same mark there is nothing new to hear."""

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
            run_id=found.run_id,
            state=found.state.value,
            begun_at=found.start_date,
            ended_at=found.end_date,
            due_at=found.logical_date,
        )

    def is_any_running(self, dag_id: str) -> bool:
        """Tell whether a run is under way, whoever began it."""
        return bool(self._ti.get_dr_count(dag_id=dag_id, states=[RUNNING]))

    def failed(self, dag_id: str, now: datetime) -> "Iterator[tuple[DagRunProtocol, Mapping[str, str | None]]]":
        """List the runs that Airflow has failed, whatever became of their tasks, and the states of these.

        Nothing where all of them were heard of before.
        """
        return self._news(dag_id, now, {FAILED})

    def undone(self, dag_id: str, now: datetime) -> "Iterator[tuple[DagRunProtocol, Mapping[str, str | None]]]":
        """List the runs that are over and of which not every task succeeded, and the states of the tasks.

        Nothing where all of them were heard of before.
        """
        return self._news(dag_id, now, OVER)

    def _news(
        self, dag_id: str, now: datetime, ends: Set[str]
    ) -> "Iterator[tuple[DagRunProtocol, Mapping[str, str | None]]]":
        from airflow.sdk.execution_time.comms import GetDagRun

        mark = self._mark(dag_id, now, ends)
        if mark is None or mark == self._seen_before.get(dag_id):
            self.seen |= {dag_id: mark} if mark else {}
            return
        is_awaited = False
        for run_id, tasks in self._ti.get_task_states(dag_id=dag_id).items():
            # A run that a person fails may leave its tasks skipped, so only the run itself says that it failed.
            if set(tasks.values()) <= {DONE}:
                continue
            try:
                # What a task instance gives of another run is its state alone; the form's values are wanted too.
                run = _asked(GetDagRun(dag_id=dag_id, run_id=run_id))
            except AirflowRuntimeError:
                continue  # it was deleted meanwhile
            # A run that goes well all the same changes no count when it ends.
            is_awaited |= run.state not in OVER and DONE in ends
            if run.state in ends and run.end_date is not None and now - run.end_date <= OLD_NEWS:
                yield run, tasks
        if not is_awaited:
            self.seen[dag_id] = mark

    def _mark(self, dag_id: str, now: datetime, ends: Set[str]) -> str | None:
        """Mark what there is to hear, by counts, which cost Airflow a thousandth of a list; None where there is none.

        Airflow lists states of all times only: 8 s and 1 MB for 10,000 runs of three tasks. The hour is for a failed
        run that came as an old one was deleted.
        """
        failed = self._ti.get_dr_count(dag_id=dag_id, states=[FAILED])
        undone = self._ti.get_ti_count(dag_id=dag_id, states=UNDONE) if DONE in ends else 0
        return f"{failed} runs, {undone} tasks, {now:%Y-%m-%dT%H}" if failed or undone else None

    def left(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """Read what a task of a run has left; None where it left nothing."""
        return self._ti.xcom_pull(dag_id=dag_id, run_id=run_id, task_ids=task_id, key=key, map_indexes=-1)


def _asked(question: Any) -> Any:
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    return SUPERVISOR_COMMS.send(question)
