"""`understudy gateway` as people run it: the command with its follower, real models, a real ledger and registry."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest

from tests.integration.trained import trained
from understudy.contract.by import By
from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Change, MlTask
from understudy.hooks.connect import Hooks
from understudy.settings import PROJECT, Settings
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import save_model
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.scorer import ModelFacts, Scorer

pytestmark = pytest.mark.e2e

MODEL = "demand"
PATIENCE_S = 180.0
SPEC = """\
model: demand
owner: team
task: binary_classification
data: {source: data/demand.csv, time: at, target: y}
gates: [{metric: roc_auc, floor: 0.6}]
serving: {}
"""
BODY = json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[0.5, -1.0]]}})


class Site:
    """A deployment below one folder, without Airflow."""

    def __init__(self, home: Path, hooks: Hooks) -> None:
        self.home, self.hooks = home, hooks

    def train(self, number: int) -> Bundle:
        folder = self.home / "trained" / str(number)
        random = np.random.default_rng(number)
        rows = pd.DataFrame(random.normal(size=(200, 2)), columns=["a", "b"])
        features = Features(names=("a", "b"))
        model = build_pipeline(estimators_for(MlTask.BINARY)["logistic_regression"], features, {}, number)
        facts = ModelFacts(
            model=MODEL,
            estimator="logistic_regression",
            task=MlTask.BINARY,
            target="y",
            features=features,
            inputs=("a", "b"),
            classes=(0, 1),
        )
        folder.parent.mkdir(parents=True, exist_ok=True)
        fitted = model.fit(rows, (rows["a"] > rows["b"]).astype(int).to_numpy())
        save_model(folder, Scorer(facts, fitted), rows, None, datetime(2026, 1, 1, tzinfo=timezone.utc))
        return self.hooks.registry.register(trained(MODEL, number, folder))

    def record(self, champion: Bundle, previous: Bundle | None = None) -> None:
        """Write who serves into the ledger, and tell no gateway."""
        epoch = 2 if previous else 1
        record = Deployment(model=MODEL, epoch=epoch, change=Change.PROMOTION, champion=champion, previous=previous)
        self.hooks.deployments.deploy(record, epoch - 1, By(actor="ann", reason="because"))

    @contextmanager
    def gateway(self) -> Iterator["Gateway"]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT / "plugins"),
            "UNDERSTUDY_HOME": str(self.home),
            "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(self.home / "models"),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "understudy.cli", "gateway", "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        gateway = Gateway(process)
        try:
            yield gateway
        finally:
            gateway.end()


class Gateway:
    """A running gateway, and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait(lambda: self._url() is not None or process.poll() is not None)
        url = self._url()
        assert url is not None, "".join(self.said)
        self.url = url

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def _url(self) -> str | None:
        found = re.search(r"listens on (http://\S+);", "".join(list(self.said)))
        return found[1] if found else None

    def answer(self) -> tuple[int, str | None, str | None]:
        found = httpx.post(
            f"{self.url}/models/{MODEL}/invocations",
            content=BODY,
            headers={"Content-Type": "application/json"},
            timeout=PATIENCE_S,
            trust_env=False,
        )
        told = found.headers
        return found.status_code, told.get("X-Understudy-Version"), told.get("X-Understudy-Epoch")

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/health", timeout=PATIENCE_S, trust_env=False).json()
        return found

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=PATIENCE_S)
        self._reader.join(PATIENCE_S)
        if self.process.stderr is not None:
            self.process.stderr.close()


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "models" / MODEL).mkdir(parents=True)
    (tmp_path / "models" / MODEL / "model.yaml").write_text(SPEC, encoding="utf-8")
    return Site(tmp_path, Hooks(Settings.model_validate({"UNDERSTUDY_HOME": tmp_path})))


def test_what_the_ledger_says_is_served_and_outlives_the_ledger(site: Site) -> None:
    first, second = site.train(1), site.train(2)
    site.record(first)
    with site.gateway() as gateway:
        wait(lambda: gateway.answer() == (200, "1", "1"))

    site.record(second, previous=first)  # nobody is there to be told
    with site.gateway() as gateway:
        wait(lambda: gateway.answer() == (200, "2", "2"))
        wait(lambda: gateway.health()["status"] == "ok")

    ledger, registry = site.home / "ledger.db", site.home / "mlflow.db"
    for path in (ledger, registry):
        path.rename(path.with_suffix(".elsewhere"))
        path.write_text("no database", encoding="utf-8")
    with site.gateway() as gateway:
        wait(lambda: gateway.answer() == (200, "2", "2"))
        wait(lambda: "ledger" in str(gateway.health()["truth"]["problem"]).lower())
        assert gateway.health()["status"] == "degraded"
        assert gateway.answer() == (200, "2", "2")


def test_a_gateway_that_is_killed_takes_everything_it_started_along(site: Site) -> None:
    site.record(site.train(1))
    with site.gateway() as gateway:
        wait(lambda: gateway.answer()[0] == 200)
        wait(lambda: any("gateway-follower" in " ".join(process.cmdline()) for process in gateway.family()))
        family = gateway.family()
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
        _, left = psutil.wait_procs(family, timeout=PATIENCE_S)
        assert left == []
