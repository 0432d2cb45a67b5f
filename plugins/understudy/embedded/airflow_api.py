"""Talk to a running Airflow as a person would, by its public REST API."""

import secrets
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.embedded.airflow_client import AirflowClient

POLL_S = 1.0
ENDED = {"success", "failed"}
AWAITS_PERSON = "awaiting_input"
PAGE = 100
ENDED_TASK = {"success", "failed", "skipped", "upstream_failed", "removed"}


class DagNotFound(UnderstudyError):
    """Airflow does not know the Dag."""

    def __init__(self, dag_id: str, seconds: float, errors: list[str]) -> None:
        seen = f" It reports: {errors[0]}" if errors else " Is the model declared? `understudy check` tells."
        super().__init__(f"Airflow has no Dag {dag_id} after {seconds:.0f} s.{seen}")


class DagPaused(UnderstudyError):
    """Somebody paused the Dag, perhaps for a reason."""

    def __init__(self, dag_id: str, url: str) -> None:
        super().__init__(
            f"The DAG {dag_id} is paused, so nothing of it would run. If the reason is gone, unpause it at "
            f"{url}/dags/{dag_id} or by adding --unpause; its schedule goes on then, too."
        )


class TaskState(Fact):
    """Say how one task of a run is doing."""

    task: str
    map_index: int = -1
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    attempt: int = 1


class Asked(Fact):
    """Say what a task of a run asks people."""

    dag_id: str
    run: str
    task: str
    map_index: int = -1
    subject: str
    at: datetime
    assigned: tuple[str, ...]
    """Who alone may answer, by name; whoever may answer on the Dag when empty."""


class AirflowApi:
    """Trigger runs and follow them.

    :param token: an access token; asked for with user and password when empty.
    :param is_remote: whether it is on another machine, and perhaps behind the environment's proxy.
    """

    def __init__(self, url: str, user: str, password: str, *, token: str = "", is_remote: bool = False) -> None:
        self._airflow = AirflowClient(url, user, password, token=token, is_remote=is_remote)

    @property
    def url(self) -> str:
        """Say where Airflow is."""
        return self._airflow.url

    def wait_for_dag(self, dag_id: str, timeout_s: float) -> None:
        """Wait until Airflow has read a Dag.

        :raises DagNotFound: when ``timeout_s`` has passed.
        """
        deadline = time.monotonic() + timeout_s
        while self._airflow.call("GET", f"/api/v2/dags/{dag_id}", "look for the Dag", may_be=404) is None:
            if time.monotonic() > deadline:
                errors = self._airflow.call("GET", "/api/v2/importErrors", "list import errors")["import_errors"]
                raise DagNotFound(dag_id, timeout_s, [str(e["stack_trace"]).strip().splitlines()[-1] for e in errors])
            time.sleep(POLL_S)

    def reread(self, dag_id: str, timeout_s: float) -> None:
        """Let Airflow read a Dag's file now, and wait until it has.

        :raises DagNotFound: when ``timeout_s`` has passed.
        """
        asked = datetime.now(timezone.utc)
        known = self._airflow.call("GET", f"/api/v2/dags/{dag_id}", "look for the Dag")
        self._airflow.call("PUT", f"/api/v2/parseDagFile/{known['file_token']}", "read the Dag's file again")
        deadline = time.monotonic() + timeout_s
        while datetime.fromisoformat(known["last_parsed_time"].replace("Z", "+00:00")) < asked:
            if time.monotonic() > deadline:
                raise DagNotFound(dag_id, timeout_s, [])
            time.sleep(POLL_S)
            known = self._airflow.call("GET", f"/api/v2/dags/{dag_id}", "look for the Dag")

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run and return its id.

        :raises DagPaused: where it would not run; a pause is a person's to lift.
        """
        if self._airflow.call("GET", f"/api/v2/dags/{dag_id}", "look for the Dag")["is_paused"]:
            raise DagPaused(dag_id, self.url)
        run = f"manual__{datetime.now(timezone.utc).isoformat()}__{secrets.token_hex(4)}"
        body = {"dag_run_id": run, "logical_date": None, "conf": conf}
        # It is there already where a try before this one began it, and its answer was lost.
        self._airflow.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", f"start {dag_id}", body, may_be=409)
        return run

    def unpause(self, dag_id: str) -> None:
        """Lift a pause, as whoever the credential belongs to; its schedule goes on as well."""
        self._airflow.call("PATCH", f"/api/v2/dags/{dag_id}", f"unpause {dag_id}", {"is_paused": False})

    def follow(
        self, dag_id: str, run_id: str, on_change: Callable[[list[TaskState]], None], *, until: str | None = None
    ) -> str:
        """Watch a run until it ends, waits for a person, or the task ``until`` ends; return the run's state.

        A run that waits for a person is in no state of its own: the state of the task that waits is returned.
        """
        while True:
            state = str(
                self._airflow.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", "look at the run")["state"]
            )
            tasks = self.tasks(dag_id, run_id)
            on_change(tasks)
            if any(task.state == AWAITS_PERSON for task in tasks):
                return AWAITS_PERSON
            if state in ENDED or any(task.task == until and task.state in ENDED_TASK for task in tasks):
                return state
            time.sleep(POLL_S)

    def runs(self, dag_id: str, run_type: str) -> list[str]:
        """List the ids of a Dag's runs of a kind, oldest first."""
        path = f"/api/v2/dags/{dag_id}/dagRuns?run_type={run_type}&order_by=run_after&limit=1000"
        return [str(found["dag_run_id"]) for found in self._airflow.call("GET", path, "list the runs")["dag_runs"]]

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        """List the tasks of a run."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=1000"
        return [
            TaskState(
                task=found["task_id"],
                map_index=found["map_index"],
                state=found["state"],
                since=found["start_date"],
                until=found["end_date"],
                attempt=max(found["try_number"], 1),
            )
            for found in self._airflow.call("GET", path, "list the tasks")["task_instances"]
        ]

    def xcom(self, dag_id: str, run_id: str, task: str) -> Any:
        """Read what a task returned; None where it returned nothing."""
        entry = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/xcomEntries/return_value"
        path = f"{entry}?deserialize=false&stringify=false"
        found = self._airflow.call("GET", path, "read a result", may_be=404)
        return None if found is None else found["value"]

    def asked(self, dag_id: str | None = None, dag_prefix: str = "") -> list[Asked]:
        """List what waits for a person's answer, the oldest first: of one Dag, or of all whose ids begin so."""
        found: list[Asked] = []
        chosen = quote(dag_id, safe="") if dag_id else "~"
        query = f"response_received=false&state={AWAITS_PERSON}&order_by=created_at&limit={PAGE}"
        query += f"&dag_id_prefix_pattern={quote(dag_prefix, safe='')}" if dag_prefix and not dag_id else ""
        while True:
            path = f"/api/v2/dags/{chosen}/dagRuns/~/hitlDetails?{query}&offset={len(found)}"
            page = self._airflow.call("GET", path, "list what waits for an answer")
            found += [_asked(one) for one in page["hitl_details"]]
            if not page["hitl_details"] or len(found) >= page["total_entries"]:
                return found

    def answer(self, asked: Asked, option: str, form: dict[str, Any]) -> None:
        """Answer what a task asks, as whoever the credential belongs to.

        :raises AirflowRefused: with status 409 where somebody has answered already, 403 where this person may not.
        """
        run = f"/api/v2/dags/{quote(asked.dag_id, safe='')}/dagRuns/{quote(asked.run, safe='')}"
        path = f"{run}/taskInstances/{asked.task}/{asked.map_index}/hitlDetails"
        self._airflow.call("PATCH", path, f"answer {asked.dag_id}", {"chosen_options": [option], "params_input": form})


def _asked(told: dict[str, Any]) -> Asked:
    task = told["task_instance"]
    return Asked(
        dag_id=task["dag_id"],
        run=task["dag_run_id"],
        task=task["task_id"],
        map_index=task["map_index"],
        subject=told["subject"],
        at=told["created_at"],
        assigned=tuple(str(user["name"] or user["id"]) for user in told["assigned_users"]),
    )
