"""Talk to a running Airflow as a person would, by its public REST API."""

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.trust import trust_for

if TYPE_CHECKING:
    import httpx

POLL_S = 1.0
ANSWER_WITHIN_S = 60.0
LOOKS = 3
"""How often a question is asked: a machine that is busy for a minute must not end the watch of a run of hours."""
ENDED = {"success", "failed"}
AWAITS_PERSON = "awaiting_input"
PAGE = 100
ENDED_TASK = {"success", "failed", "skipped", "upstream_failed", "removed"}


class AirflowUnreachable(UnderstudyError):
    """Airflow does not answer."""

    def __init__(self, url: str, problem: str, *, is_remote: bool = False) -> None:
        way_out = (
            "Check AIRFLOW__UNDERSTUDY__AIRFLOW_URL, and whether it runs."
            if is_remote
            else "Look at `understudy doctor`; `understudy up` starts it."
        )
        super().__init__(f"Airflow at {url} does not answer ({problem}). {way_out}")


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
        self.url, self._user, self._password = url.rstrip("/"), user, password
        self._token, self._is_remote = token or None, is_remote

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
        """Watch a run until it ends, waits for a person, or the task ``until`` ends; return the run's state.

        A run that waits for a person is in no state of its own: the state of the task that waits is returned.
        """
        while True:
            state = str(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", "look at the run")["state"])
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

    def asked(self, dag_id: str | None = None, dag_prefix: str = "") -> list[Asked]:
        """List what waits for a person's answer, the oldest first: of one Dag, or of all whose ids begin so."""
        found: list[Asked] = []
        chosen = quote(dag_id, safe="") if dag_id else "~"
        query = f"response_received=false&state={AWAITS_PERSON}&order_by=created_at&limit={PAGE}"
        query += f"&dag_id_prefix_pattern={quote(dag_prefix, safe='')}" if dag_prefix and not dag_id else ""
        while True:
            path = f"/api/v2/dags/{chosen}/dagRuns/~/hitlDetails?{query}&offset={len(found)}"
            page = self._call("GET", path, "list what waits for an answer")
            found += [_asked(one) for one in page["hitl_details"]]
            if not page["hitl_details"] or len(found) >= page["total_entries"]:
                return found

    def answer(self, asked: Asked, option: str, form: dict[str, Any]) -> None:
        """Answer what a task asks, as whoever the credential belongs to.

        :raises AirflowRefused: with status 409 where somebody has answered already, 403 where this person may not.
        """
        run = f"/api/v2/dags/{quote(asked.dag_id, safe='')}/dagRuns/{quote(asked.run, safe='')}"
        path = f"{run}/taskInstances/{asked.task}/{asked.map_index}/hitlDetails"
        self._call("PATCH", path, f"answer {asked.dag_id}", {"chosen_options": [option], "params_input": form})

    def _call(
        self, method: str, path: str, what: str, body: dict[str, Any] | None = None, *, missing_ok: bool = False
    ) -> Any:
        import httpx

        # Never through a proxy where Airflow is on this machine.
        with httpx.Client(
            base_url=self.url, timeout=ANSWER_WITHIN_S, trust_env=self._is_remote, verify=trust_for(self.url)
        ) as client:
            answer = self._ask(client, method, path, body)
        if answer.status_code == 404 and missing_ok:
            return None
        if answer.is_error:
            raise AirflowRefused(what, answer.status_code, _detail(answer))
        return answer.json() if answer.content else None

    def _ask(self, client: "httpx.Client", method: str, path: str, body: dict[str, Any] | None) -> "httpx.Response":
        import httpx

        # Only what is looked at is asked for again: what acts may have acted.
        tries_left = LOOKS if method == "GET" else 1
        while True:
            try:
                headers = {"Authorization": f"Bearer {self._login(client)}"}
                return client.request(method, path, json=body, headers=headers)
            except httpx.HTTPError as problem:
                tries_left -= 1
                if tries_left and not isinstance(problem, httpx.ConnectError):
                    continue
                said = str(problem) or type(problem).__name__
                raise AirflowUnreachable(self.url, said, is_remote=self._is_remote) from problem

    def _login(self, client: "httpx.Client") -> str:
        if self._token is None:
            answer = client.post("/auth/token", json={"username": self._user, "password": self._password})
            if answer.is_error:
                raise AirflowRefused("log in", answer.status_code, _detail(answer))
            self._token = str(answer.json()["access_token"])
        return self._token


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


def _detail(answer: "httpx.Response") -> str:
    try:
        detail = answer.json().get("detail", answer.text)
    except ValueError:
        detail = answer.text
    return str(detail)[:500]
