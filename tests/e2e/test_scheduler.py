"""What only a real scheduler shows: two retrainings at once, a worker that is killed, a task that a person fails."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.conftest import what_docker_lacks
from understudy.embedded import stack
from understudy.embedded.airflow_api import AirflowApi
from understudy.embedded.layout import Layout
from understudy.embedded.ports import Ports
from understudy.runners.choose import choose_runner
from understudy.settings import settings

pytestmark = pytest.mark.e2e

TRAINER = """
import time

from sklearn.tree import DecisionTreeClassifier


def train(frame, params, context):
    for second in range(params["seconds"]):
        print("thinking", second, flush=True)
        time.sleep(1)
    return DecisionTreeClassifier(max_depth=4, random_state=0).fit(frame[list(context.features)], frame[context.target])
"""
SECONDS = 15  # twice a run: once to measure, once to keep
ENDS_WITHIN_S = 400.0


@dataclass(frozen=True)
class Site:
    """A running stack of its own."""

    home: Path
    api: AirflowApi
    isolation: str

    def train_task(self, model: str, run: str) -> Any:
        return self.api._call("GET", f"{self._tasks(model, run)}/train", "look at the task")

    def fail_train(self, model: str, run: str) -> None:
        self.api._call("PATCH", f"{self._tasks(model, run)}/train", "fail the task", {"new_state": "failed"})

    def follow(self, model: str, run: str) -> set[str]:
        """Wait for the end; return the ids of the containers or processes that trained meanwhile."""
        deadline, seen = time.monotonic() + ENDS_WITHIN_S, set[str]()

        def look(_: object) -> None:
            assert time.monotonic() < deadline, f"the run {run} of {model} does not end"
            seen.update(job["id"] for job in self.jobs(model))

        self.api.follow(f"retrain__{model}", run, look)
        return seen

    def _tasks(self, model: str, run: str) -> str:
        return f"/api/v2/dags/retrain__{model}/dagRuns/{run}/taskInstances"

    def jobs(self, model: str, task: str = "train") -> list[dict[str, str]]:
        found = choose_runner(self.isolation, settings()).leftovers()  # type: ignore[arg-type]
        return [job for job in found if (job["model"], job["task_id"]) == (model, task)]

    def training(self, model: str, run: str) -> tuple[Any, dict[str, str]]:
        """Wait until the training's stage runs; return the task and the job."""
        wait(lambda: self.train_task(model, run)["state"] == "running" and len(self.jobs(model)) == 1, 120)
        return self.train_task(model, run), self.jobs(model)[0]


def wait(until: Callable[[], bool], seconds: float) -> float:
    """Wait for something to become true; return how long it took."""
    begun = time.monotonic()
    while not until():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s"
        time.sleep(0.5)
    return time.monotonic() - begun


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("stack")
    isolation = "docker" if what_docker_lacks() is None else "process"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_HOME", str(home))
        patch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(home / "models"))
        patch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", isolation)
        patch.setenv("AIRFLOW_HOME", str(home / "airflow"))
        settings.cache_clear()
        for model in ("alpha", "beta"):
            declare(home, model)
        layout = Layout(home=home)
        # Not the usual ports: another stack on this machine may be starting at the same moment.
        layout.running.write_text(json.dumps({"ports": free_ports().model_dump()}), encoding="utf-8")
        try:
            running = stack.up(settings(), layout, print)
            api = AirflowApi(running.airflow, running.user, running.password)
            for model in ("alpha", "beta"):
                api.wait_for_dag(f"retrain__{model}", 180)
            yield Site(home, api, isolation)
        finally:
            stack.down(layout)
            settings.cache_clear()


def free_ports() -> Ports:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in Ports.model_fields]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return Ports(**dict(zip(Ports.model_fields, (one.getsockname()[1] for one in sockets), strict=True)))


def declare(home: Path, model: str) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(1200, 3))
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"]).assign(
        up=(numbers[:, 0] + 0.5 * rng.normal(size=1200) > 0).astype(int),
        at=[datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hour) for hour in range(1200)],
    )
    folder = home / "models" / model
    folder.mkdir(parents=True)
    frame.to_csv(home / f"{model}.csv", index=False)
    (folder / "trainer.py").write_text(TRAINER, encoding="utf-8")
    spec = {
        "model": model, "owner": "market-ml", "task": "binary_classification",
        "data": {"source": str(home / f"{model}.csv"), "time": "at", "target": "up"},
        "train": {"trainer": "trainer.py:train", "params": {"seconds": SECONDS}},
        "evaluate": {"must_beat": ["dummy"]}, "gates": [{"metric": "roc_auc", "floor": 0.6}],
    }  # fmt: skip
    (folder / "model.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")


def test_a_killed_worker_loses_no_work_and_disturbs_no_other_model(site: Site) -> None:
    runs = {model: site.api.trigger(f"retrain__{model}", {"reason": "both at once"}) for model in ("alpha", "beta")}
    task, job = site.training("alpha", runs["alpha"])
    os.kill(task["pid"], signal.SIGKILL)

    assert site.follow("alpha", runs["alpha"]) == {job["id"]}
    site.follow("beta", runs["beta"])
    for model, run in runs.items():
        assert site.api.xcom(f"retrain__{model}", run, "outcome")["outcome"] == "promoted"
    tries = {model: site.train_task(model, run)["try_number"] for model, run in runs.items()}
    assert tries == {"alpha": 2, "beta": 1}
    assert site.jobs("alpha") == site.jobs("beta") == []


def test_a_task_that_a_person_fails_takes_its_stage_along(site: Site) -> None:
    run = site.api.trigger("retrain__alpha", {"reason": "a mistake"})
    site.training("alpha", run)
    site.fail_train("alpha", run)
    gone_after = wait(lambda: site.jobs("alpha") == [], 60)
    assert gone_after < 20
    site.follow("alpha", run)
    ended = site.api.xcom("retrain__alpha", run, "outcome")
    assert (ended["outcome"], ended["champion"]) == ("broken", 1)
