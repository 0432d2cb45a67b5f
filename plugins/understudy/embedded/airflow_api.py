"""Talk to a running Airflow as a person would, by its public REST API."""

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError

if TYPE_CHECKING:
    import httpx

POLL_S = 1.0
ANSWER_WITHIN_S = 60.0
ENDED = {"success", "failed"}
ENDED_TASK = {"success", "failed", "skipped", "upstream_failed", "removed"}


class AirflowUnreachable(UnderstudyError):
    """Airflow does not answer."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(
            f"Airflow at {url} does not answer ({problem}). Look at `understudy doctor`; `understudy up` starts it."
        )


class AirflowRefused(UnderstudyError):
    """Airflow answers no."""

    def __init__(self, what: str, status: int, detail: str) -> None:
        self.status = status
        super().__init__(f"Airflow refused to {what} (HTTP {status}): {detail}")


class DagNotFound(UnderstudyError):
    """Airflow does not know the Dag."""

    def __init__(self, dag_id: str, seconds: float, errors: list[str]) -> None:
        seen = f" It reports: {errors[0]}" if errors else " Is the model declared? `understudy check` tells."
        super().__init__(f"Airflow has no Dag {dag_id} after {seconds:.0f} s.{seen}")


class TaskState(Fact):
    """Say how one task of a run is doing."""

    task: str
    map_index: int = -1
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    attempt: int = 1


class AirflowApi:
    """Trigger runs and follow them."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url, self._user, self._password = url.rstrip("/"), user, password
        self._token: str | None = None

    def wait_for_dag(self, dag_id: str, timeout_s: float) -> None:
        """Wait until Airflow has read a Dag.

        :raises DagNotFound: when ``timeout_s`` has passed.
        """
        deadline = time.monotonic() + timeout_s
        while self._call("GET", f"/api/v2/dags/{dag_id}", "look for the Dag", missing_ok=True) is None:
            if time.monotonic() > deadline:
                errors = self._call("GET", "/api/v2/importErrors", "list import errors")["import_errors"]
                raise DagNotFound(dag_id, timeout_s, [str(e["stack_trace"]).strip().splitlines()[-1] for e in errors])
            time.sleep(POLL_S)

    def reread(self, dag_id: str, timeout_s: float) -> None:
        """Let Airflow read a Dag's file now, and wait until it has.

        :raises DagNotFound: when ``timeout_s`` has passed.
        """
        asked = datetime.now(timezone.utc)
        known = self._call("GET", f"/api/v2/dags/{dag_id}", "look for the Dag")
        self._call("PUT", f"/api/v2/parseDagFile/{known['file_token']}", "read the Dag's file again")
        deadline = time.monotonic() + timeout_s
        while datetime.fromisoformat(known["last_parsed_time"].replace("Z", "+00:00")) < asked:
            if time.monotonic() > deadline:
                raise DagNotFound(dag_id, timeout_s, [])
            time.sleep(POLL_S)
            known = self._call("GET", f"/api/v2/dags/{dag_id}", "look for the Dag")

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run and return its id."""
        if self._call("GET", f"/api/v2/dags/{dag_id}", "look for the Dag")["is_paused"]:
            self._call("PATCH", f"/api/v2/dags/{dag_id}", "unpause the Dag", {"is_paused": False})
        body = {"logical_date": None, "conf": conf}
        return str(self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", f"start {dag_id}", body)["dag_run_id"])

    def follow(
        self, dag_id: str, run_id: str, on_change: Callable[[list[TaskState]], None], *, until: str | None = None
    ) -> str:
        """Watch a run until it ends, or the task ``until`` does; return the run's state."""
        while True:
            state = str(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", "look at the run")["state"])
            tasks = self.tasks(dag_id, run_id)
            on_change(tasks)
            if state in ENDED or any(task.task == until and task.state in ENDED_TASK for task in tasks):
                return state
            time.sleep(POLL_S)

    def runs(self, dag_id: str, run_type: str) -> list[str]:
        """List the ids of a Dag's runs of a kind, oldest first."""
        path = f"/api/v2/dags/{dag_id}/dagRuns?run_type={run_type}&order_by=run_after&limit=1000"
        return [str(found["dag_run_id"]) for found in self._call("GET", path, "list the runs")["dag_runs"]]

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
            for found in self._call("GET", path, "list the tasks")["task_instances"]
        ]

    def xcom(self, dag_id: str, run_id: str, task: str) -> Any:
        """Read what a task returned; None where it returned nothing."""
        entry = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/xcomEntries/return_value"
        path = f"{entry}?deserialize=false&stringify=false"
        found = self._call("GET", path, "read a result", missing_ok=True)
        return None if found is None else found["value"]

    def _call(
        self, method: str, path: str, what: str, body: dict[str, Any] | None = None, *, missing_ok: bool = False
    ) -> Any:
        import httpx

        # Never through a proxy: the embedded Airflow is on this machine.
        with httpx.Client(base_url=self.url, timeout=ANSWER_WITHIN_S, trust_env=False) as client:
            try:
                answer = client.request(
                    method, path, json=body, headers={"Authorization": f"Bearer {self._login(client)}"}
                )
            except httpx.HTTPError as problem:
                raise AirflowUnreachable(self.url, str(problem) or type(problem).__name__) from problem
        if answer.status_code == 404 and missing_ok:
            return None
        if answer.is_error:
            raise AirflowRefused(what, answer.status_code, _detail(answer))
        return answer.json() if answer.content else None

    def _login(self, client: "httpx.Client") -> str:
        if self._token is None:
            answer = client.post("/auth/token", json={"username": self._user, "password": self._password})
            if answer.is_error:
                raise AirflowRefused("log in", answer.status_code, _detail(answer))
            self._token = str(answer.json()["access_token"])
        return self._token


def _detail(answer: "httpx.Response") -> str:
    try:
        detail = answer.json().get("detail", answer.text)
    except ValueError:
        detail = answer.text
    return str(detail)[:500]
