"""What Airflow's supervisor answers a task that asks about other runs; the process boundary, and nothing behind it."""

from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import PreviousTIResponse
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    DagRunResult,
    DagRunStateResult,
    ErrorResponse,
    GetDagRun,
    GetPreviousDagRun,
    PreviousDagRunResult,
)

AIRFLOW = "http://airflow.example"
"""Where pages say that it is."""


@dataclass
class KnownRuns:
    """Stand in for the task instance of a sweep, and for what it asks."""

    runs: dict[tuple[str, str], DagRunResult] = field(default_factory=dict)
    tasks: dict[str, dict[str, dict[str, str | None]]] = field(default_factory=dict)
    xcoms: dict[tuple[str, str, str, str], Any] = field(default_factory=dict)

    pushed: dict[str, Any] = field(default_factory=dict)
    sweeps: list[str] = field(default_factory=list)
    previous: PreviousTIResponse | None = None
    listed: list[str] = field(default_factory=list)
    """The DAGs of which all states of all times were asked for."""

    def context(self, **more: Any) -> Any:
        return {"ti": self, "dag_run": SimpleNamespace(logical_date=None), **more}

    def add(self, dag_id: str, run_id: str, state: str, tasks: dict[str, str | None], **more: Any) -> None:
        now = datetime.now(timezone.utc)
        told = {
            "logical_date": None, "data_interval_start": None, "data_interval_end": None, "run_after": now,
            "start_date": now, "end_date": now if state in {"failed", "success"} else None, "run_type": "manual",
            "consumed_asset_events": [], "partition_key": None, "triggering_user_name": "ann", **more,
        }  # fmt: skip
        run = DagRunResult.model_validate({"dag_id": dag_id, "run_id": run_id, "state": state, **told})
        self.runs[dag_id, run_id] = run
        self.tasks.setdefault(dag_id, {})[run_id] = tasks

    def send(self, msg: Any) -> Any:
        if isinstance(msg, GetDagRun):
            return self._run(msg.dag_id, msg.run_id)
        if isinstance(msg, GetPreviousDagRun):
            return PreviousDagRunResult.model_validate({"dag_run": self._before(msg)})
        raise AssertionError(f"nobody expected {msg}")

    def _before(self, asked: GetPreviousDagRun) -> DagRunResult | None:
        dated = [
            (run.logical_date, run.run_id, run)
            for (dag_id, _), run in self.runs.items()
            if dag_id == asked.dag_id and run.logical_date and run.logical_date < asked.logical_date
            if asked.state in {None, run.state}
        ]
        return max(dated)[2] if dated else None

    def get_dr_count(self, dag_id: str, states: list[str]) -> int:
        return sum(run.state in states for (known, _), run in self.runs.items() if known == dag_id)

    def get_dagrun_state(self, dag_id: str, run_id: str) -> Any:
        # What Airflow gives, whatever its own signature promises: no text but one of an enum.
        return DagRunStateResult.model_validate({"state": self._run(dag_id, run_id).state}).state

    def get_ti_count(self, dag_id: str, states: list[str]) -> int:
        return sum(state in states for tasks in self.tasks.get(dag_id, {}).values() for state in tasks.values())

    def get_task_states(self, dag_id: str) -> dict[str, dict[str, str | None]]:
        self.listed.append(dag_id)
        return self.tasks.get(dag_id, {})

    def get_previous_ti(self, logical_date: datetime) -> PreviousTIResponse | None:
        assert logical_date.tzinfo is not None
        return self.previous

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def begin(self) -> None:
        """Let the next sweep begin, after one whose words Airflow has kept."""
        number = len(self.sweeps)
        self.sweeps.append(f"scheduled__{number}")
        for key, value in self.pushed.items():
            self.xcoms["alerts", self.sweeps[-1], "sweep", key] = value
        self.pushed.clear()
        self.previous = PreviousTIResponse.model_validate(
            {"dag_id": "alerts", "task_id": "sweep", "run_id": self.sweeps[-1], "try_number": 1}
        )

    def xcom_pull(self, *, dag_id: str, run_id: str, task_ids: str, key: str, map_indexes: int) -> Any:
        assert map_indexes == -1, "of all copies of a task Airflow gives a list"
        return self.xcoms.get((dag_id, run_id, task_ids, key))

    def _run(self, dag_id: str, run_id: str) -> DagRunResult:
        if (dag_id, run_id) not in self.runs:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR))
        return self.runs[dag_id, run_id]


def known_runs(patch: pytest.MonkeyPatch) -> KnownRuns:
    """Let this process ask about runs as a task does."""
    known = KnownRuns()
    patch.setattr(task_runner, "SUPERVISOR_COMMS", known, raising=False)
    return known
