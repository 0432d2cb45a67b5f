"""Roll back as people do, from the command line and from Airflow's form, on a whole stack under load."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.serving.models import Served, train
from benchmarks.serving.servers import free_port
from understudy.contract.by import By
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.release import Blessing
from understudy.contract.serving import ServingTerms
from understudy.contract.words import EntryKind, MlTask
from understudy.embedded import stack
from understudy.embedded.airflow_api import AirflowApi
from understudy.embedded.layout import Layout
from understudy.embedded.ports import Ports
from understudy.hooks.connect import Hooks
from understudy.hooks.promotion import promote
from understudy.hooks.registry.registration import Provenance, Registration
from understudy.settings import settings

MODEL, REASON = "bench", "a benchmark"
RATE, CALLERS, ENOUGH = 100.0, 4, 10_000
"""Requests a second on so many connections; at least so many in all, which takes 100 s."""
TERMS = ServingTerms(task=MlTask.BINARY, serving=ServingSpec())
DECLARATION = {
    "model": MODEL,
    "owner": "benchmarks",
    "task": "binary_classification",
    "data": {"source": "/nowhere/x.csv", "target": "y", "time": "at"},
    "gates": [{"metric": "roc_auc", "floor": 0.5}],
    "serving": {},
}


class Way(NamedTuple):
    """Hold the times of one way back, in seconds."""

    until_new: list[float]
    """From the start of the process or the task until the last request was sent that the old version answered."""
    before: list[float]
    """For the task: from the click until its start."""
    until_done: list[float]
    """From the same start until the command had returned, or the task had ended."""


class Measured(NamedTuple):
    """Hold both ways, and what callers saw meanwhile."""

    command: Way
    task: Way
    requests: int
    errors: int


class Answer(NamedTuple):
    """Note when something was asked, and who answered with which status."""

    asked: float
    version: str
    status: int


class Callers:
    """Ask at a fixed rate on a few connections: without pause they would take the processors from what is measured."""

    def __init__(self, url: str, payload: bytes) -> None:
        self.answers: list[Answer] = []
        self._url, self._payload = url, payload
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CALLERS)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def last_of(self, version: int, since: float) -> float:
        """Say when the last request was sent that a version answered; ``since`` where it answered none any more."""
        return max(
            (a.asked for a in list(self.answers) if a.version == str(version) and a.asked > since), default=since
        )

    def wait_for(self, version: int) -> None:
        """Wait until an answer of a version has been seen, and a little longer for what is under way."""
        while not any(answer.version == str(version) for answer in self.answers[-CALLERS:]):
            time.sleep(0.01)
        time.sleep(0.3)

    def _ask(self) -> None:
        headers = {"Content-Type": "application/json"}
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._ended.wait(CALLERS / RATE):
                asked = time.time()
                try:
                    answer = client.post(self._url, content=self._payload, headers=headers)
                except httpx.HTTPError:
                    self.answers.append(Answer(asked, "", 0))
                    continue
                version = answer.headers.get("x-understudy-version", "")
                self.answers.append(Answer(asked, version, answer.status_code))


def way_back(scratch: Path, count: int) -> Measured:
    """Start a stack, promote enough versions, and take them back one by one, each way ``count`` times."""
    with _stack(scratch) as (running, api):
        hooks = Hooks(settings())
        versions = [train(scratch / "trained", "logistic_regression", number) for number in range(1, 2 * count + 2)]
        for version in versions:
            _promote(hooks, version)
        url = f"{running.gateway}/models/{MODEL}/invocations"
        with Callers(url, versions[0].payload(1)) as callers:
            serving = len(versions)
            callers.wait_for(serving)
            command, task = Way([], [], []), Way([], [], [])
            for _ in range(count):
                _by_command(callers, serving, command)
                _by_task(api, callers, serving - 1, task)
                serving -= 2
            while len(callers.answers) < ENOUGH:
                time.sleep(0.1)
        errors = sum(1 for answer in callers.answers if answer.status != 200)
        return Measured(command, task, len(callers.answers), errors)


def percentile(values: list[float], share: float) -> float:
    """Give the value below which a share of all lies; of few values the largest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]


def told(values: list[float]) -> str:
    """Write median and 95th percentile."""
    return f"median {statistics.median(values):.2f} s, p95 {percentile(values, 0.95):.2f} s of {len(values)}"


def _by_command(callers: Callers, serving: int, way: Way) -> None:
    begun = time.time()
    subprocess.run(
        [sys.executable, "-m", "understudy.cli", "rollback", MODEL, "--reason", REASON],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    way.until_done.append(time.time() - begun)
    callers.wait_for(serving - 1)
    way.until_new.append(callers.last_of(serving, begun) - begun)


def _by_task(api: AirflowApi, callers: Callers, serving: int, way: Way) -> None:
    clicked = time.time()
    run = api.trigger("rollback", {"model": MODEL, "target": "previous", "reason": REASON, "dry_run": False})
    if api.follow("rollback", run, lambda _: None) != "success":
        raise RuntimeError(f"the run {run} of the DAG rollback failed")
    (ended,) = api.tasks("rollback", run)
    begun = _seconds(ended.since)
    way.before.append(begun - clicked)
    way.until_done.append(_seconds(ended.until) - begun)
    callers.wait_for(serving - 1)
    way.until_new.append(callers.last_of(serving, clicked) - begun)


def _seconds(at: datetime | None) -> float:
    if at is None:
        raise RuntimeError("the task has no times")
    return at.timestamp()


def _promote(hooks: Hooks, version: Served) -> None:
    registration = Registration(
        model=MODEL,
        run=f"run{version.bundle.version}",
        model_dir=version.folder,
        model_sha256=version.bundle.model_sha256,
        provenance=Provenance(data_version="", spec_sha256="", code_commit="", image_digest=""),
    )
    bundle = hooks.registry.register(registration)
    serving = hooks.deployments.current(MODEL)
    blessing = Blessing(
        challenger=bundle,
        champion_version=serving.champion.version if serving else None,
        champion_epoch=serving.champion_since if serving else 0,
        judgement_sha256="0" * 64,
        rubber_stamped=True,
    )
    facts = blessing.model_dump(mode="json")
    hooks.ledger.append(MODEL, EntryKind.BLESSED, "benchmark", REASON, bundle.run, facts)
    places = hooks.places(TERMS)
    promote(
        hooks.deployments,
        hooks.registry,
        blessing,
        by=By(actor="benchmark", reason=REASON),
        gateways=places,
        terms=TERMS,
    )


@contextmanager
def _stack(scratch: Path) -> Iterator[tuple[stack.Running, AirflowApi]]:
    """Run a whole embedded stack of its own."""
    home = scratch / "stack"
    path = home / "models" / MODEL / "model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(DECLARATION), encoding="utf-8")
    given = {
        "UNDERSTUDY_HOME": str(home),
        "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(home / "models"),
        "AIRFLOW__UNDERSTUDY__ISOLATION": "process",
        "AIRFLOW_HOME": str(home / "airflow"),
    }
    before = {name: os.environ[name] for name in given if name in os.environ}
    os.environ.update(given)
    settings.cache_clear()
    layout = Layout(home=home)
    layout.running.write_text(json.dumps({"ports": {name: free_port() for name in Ports.model_fields}}), "utf-8")
    try:
        running = stack.up(settings(), layout, lambda _: None)
        api = AirflowApi(running.airflow, running.user, running.password.get_secret_value())
        api.wait_for_dag("rollback", 180)
        yield running, api
    finally:
        stack.down(layout)
        for name in given:
            os.environ.pop(name)
        os.environ.update(before)
        settings.cache_clear()
