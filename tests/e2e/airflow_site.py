"""A running embedded stack of its own, as the tests of real schedulers and browsers see it."""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from understudy.contract.cause import Cause
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind
from understudy.embedded import stack
from understudy.embedded.airflow_api import AirflowApi, Asked
from understudy.embedded.airflow_client import AirflowClient, AirflowInTrouble
from understudy.embedded.layout import Layout
from understudy.hooks.connect import Hooks
from understudy.runners.choose import choose_runner
from understudy.settings import settings

ENDS_WITHIN_S = 900


@dataclass(frozen=True)
class Site:
    """A running stack of its own."""

    home: Path
    api: AirflowApi
    isolation: str
    gateway: str

    @property
    def _airflow(self) -> AirflowClient:
        return self.api._airflow

    def task(self, model: str, run: str, task: str) -> Any:
        return self.task_of(f"retrain__{model}", run, task)

    def task_of(self, dag_id: str, run: str, task: str) -> Any:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}"
        return self._airflow.call("GET", path, "look at the task")

    def kill(self, dag_id: str, run: str, task: str, number: int) -> None:
        """Kill the process of a try once it runs, which leaves it no time to say anything."""

        def runs() -> bool:
            seen.update(self.task_of(dag_id, run, task))
            return (seen["state"], seen["try_number"]) == ("running", number) and seen["pid"] is not None

        seen: dict[str, Any] = {}
        wait(runs, 400, 0.2)
        os.kill(seen["pid"], signal.SIGKILL)

    def fail_train(self, model: str, run: str) -> None:
        self._airflow.call("PATCH", f"{self._tasks(model, run)}/train", "fail the task", {"new_state": "failed"})

    def end_run(self, model: str, run: str) -> None:
        """Fail a whole run at once, as one does in the UI: its tasks are killed, and none of the others runs."""
        self.end_run_of(f"retrain__{model}", run)

    def end_run_of(self, dag_id: str, run: str) -> None:
        """Fail a run of any DAG."""
        self._airflow.call("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run}", "end the run", {"state": "failed"})

    def follow(self, model: str, run: str) -> set[str]:
        """Wait for the end; return the ids of the containers or processes that trained meanwhile."""
        deadline, seen = time.monotonic() + ENDS_WITHIN_S, set[str]()

        def look(_: object) -> None:
            assert time.monotonic() < deadline, f"the run {run} of {model} does not end"
            seen.update(job["id"] for job in self.jobs(model))

        self.api.follow(f"retrain__{model}", run, look)
        return seen

    def asked(self, model: str, look_every_s: float = 0.5) -> Asked:
        """Wait until a retraining asks people, and return what."""
        wait(lambda: len(self.api.asked(f"retrain__{model}")) == 1, 400, look_every_s)
        return self.api.asked(f"retrain__{model}")[0]

    def ended(self, model: str, run: str) -> dict[str, Any]:
        """Wait until a retraining has ended, and return how."""
        over = {"success", "failed"}
        wait(lambda: self.api.follow(f"retrain__{model}", run, lambda _: None) in over, ENDS_WITHIN_S)
        ended: dict[str, Any] = self.api.xcom(f"retrain__{model}", run, "outcome")
        return ended

    def runs(self, model: str, run_type: str) -> list[dict[str, Any]]:
        """List a model's retrainings of a kind, oldest first."""
        path = f"/api/v2/dags/retrain__{model}/dagRuns?run_type={run_type}&order_by=run_after&limit=1000"
        return list(self._airflow.call("GET", path, "list the runs")["dag_runs"])

    def runs_of(self, dag_id: str) -> list[dict[str, Any]]:
        """List the runs of a DAG."""
        path = f"/api/v2/dags/{dag_id}/dagRuns?limit=1000"
        return list(self._airflow.call("GET", path, "list the runs")["dag_runs"])

    def queue(self, dag_id: str) -> str:
        """Ask for a run of a DAG that may be paused, which begins once it is not."""
        run = f"manual__{secrets.token_hex(8)}"
        body: dict[str, Any] = {"dag_run_id": run, "logical_date": None, "conf": {}}
        self._airflow.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", "queue a run", body)
        return run

    @contextmanager
    def paused(self, dag_id: str) -> Iterator[None]:
        """Pause a DAG for a while."""
        self._airflow.call("PATCH", f"/api/v2/dags/{dag_id}", "pause it", {"is_paused": True})
        try:
            yield
        finally:
            self._airflow.call("PATCH", f"/api/v2/dags/{dag_id}", "unpause it", {"is_paused": False})

    def withdraw(self, dag_id: str, run: str) -> None:
        """Take a run out of the queue."""
        self._airflow.call("DELETE", f"/api/v2/dags/{dag_id}/dagRuns/{run}", "delete the run")

    def forget(self, dag_id: str) -> None:
        """Delete a DAG whose declaration is gone; by itself, Airflow forgets it after a minute or two."""
        self._airflow.call("DELETE", f"/api/v2/dags/{dag_id}", "delete it", may_be=404)

    def pid(self, component: str) -> int:
        """Give the process of a component of the stack."""
        record = json.loads(Layout(home=self.home).running.read_text(encoding="utf-8"))
        return next(int(one["pid"]) for one in record["processes"] if one["name"] == component)

    def waiting_events(self, model: str) -> bool:
        """Tell whether Airflow keeps events from which no run has begun yet."""
        path = f"/api/v2/dags/retrain__{model}/assets/queuedEvents"
        found = self._airflow.call("GET", path, "list what waits", may_be=404)
        return found is not None and found["total_entries"] > 0

    def entries(self, model: str, kind: EntryKind) -> list[LedgerEntry]:
        return Hooks(settings()).ledger.entries(model, [kind])

    def began(self, model: str) -> tuple[LedgerEntry, Cause, datetime]:
        """Say of the newest retraining why it began, and as of when."""
        entry = self.entries(model, EntryKind.TRIGGERED)[-1]
        return entry, Cause.model_validate(entry.facts["cause"]), datetime.fromisoformat(str(entry.facts["as_of"]))

    def look(self, model: str, as_of: str) -> dict[str, Any]:
        """Look at a model as of a day; return what was decided."""
        run = self.api.trigger(f"monitor__{model}", {"as_of": as_of})
        self.api.follow(f"monitor__{model}", run, lambda _: None)
        decided: dict[str, Any] = self.api.xcom(f"monitor__{model}", run, "decide")
        return decided

    def ask_from_outside(self, model: str, events: int) -> None:
        """Send events as docs/monitoring.md says: a token, the asset's id, a call for each, again where it failed."""
        headers = {"Authorization": f"Bearer {self.token(self._airflow._user, self._airflow._password)}"}
        with httpx.Client(base_url=self.api.url, headers=headers, timeout=300, trust_env=False) as client:
            found = client.get("/api/v2/assets", params={"name_pattern": f"understudy://{model}/retrain"}).json()
            body = {"asset_id": found["assets"][0]["id"], "extra": {"reason": "the meters were replaced"}}

            for _ in range(events):
                wait(lambda: client.post("/api/v2/assets/events", json=body).status_code == 200, 300)

    def token(self, user: str, password: str) -> str:
        """Log somebody in."""
        body = {"username": user, "password": password}
        answer = httpx.post(f"{self.api.url}/auth/token", json=body, trust_env=False, timeout=60)
        return str(answer.json()["access_token"])

    def backfill(self, model: str, span: dict[str, str]) -> None:
        """Start a backfill; Airflow refuses to while something else writes to its SQLite database."""

        def is_started() -> bool:
            try:
                self._airflow.call(
                    "POST", "/api/v2/backfills", "start a backfill", {"dag_id": f"retrain__{model}", **span}
                )
            except AirflowInTrouble:
                return False
            return True

        wait(is_started, 300)

    def _tasks(self, model: str, run: str) -> str:
        return f"/api/v2/dags/retrain__{model}/dagRuns/{run}/taskInstances"

    def jobs(self, model: str, task: str = "train") -> list[dict[str, str]]:
        found = choose_runner(self.isolation, settings()).leftovers()  # type: ignore[arg-type]
        return [job for job in found if (job["model"], job["task_id"]) == (model, task)]

    def training(self, model: str, run: str) -> tuple[Any, dict[str, str]]:
        """Wait until the training's stage runs; return the task and the job."""
        wait(lambda: self.task(model, run, "train")["state"] == "running" and len(self.jobs(model)) == 1, 400)
        return self.task(model, run, "train"), self.jobs(model)[0]


def wait(until: Callable[[], bool], seconds: float, look_every_s: float = 0.5) -> float:
    """Wait for something to become true; return how long it took."""
    begun = time.monotonic()
    while not until():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s"
        time.sleep(look_every_s)
    return time.monotonic() - begun


@contextmanager
def running_site(home: Path, isolation: str, environment: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Start a stack below ``home``, whose declarations are there already; stop it again."""
    told = {
        "UNDERSTUDY_HOME": str(home),
        "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(home / "models"),
        "AIRFLOW__UNDERSTUDY__ISOLATION": isolation,
        "AIRFLOW_HOME": str(home / "airflow"),
        **(environment or {}),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        settings.cache_clear()
        layout = Layout(home=home)
        try:
            up = stack.up(settings(), layout, print)
            yield Site(home, AirflowApi(up.airflow, up.user, up.password.get_secret_value()), isolation, up.gateway)
        finally:
            stack.down(layout)
            settings.cache_clear()
