"""A whole gateway in a process of its own, with trained versions of one model, and callers."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pandas as pd
from pydantic import SecretStr

from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ModelStatus, ServingOrder, ServingTerms
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, MlTask, Role
from understudy.gateway.log.read import read
from understudy.hooks.places.gateway_client import GatewayClient
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import save_model
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.scorer import ModelFacts, Scorer

MODEL = "tides"
TOKEN = SecretStr("open-sesame")
PATIENCE_S = 60.0
SERVE = """
import sys
from understudy.gateway.config import GatewayConfig
from understudy.gateway.serve import serve
serve(GatewayConfig.model_validate_json(sys.argv[1]), lambda url: print(url, flush=True))
"""
ROW = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.0, 2.0, 3.0]]}}
Trained = dict[int, tuple[Path, Bundle]]


class Running(NamedTuple):
    """A gateway that runs."""

    process: "subprocess.Popen[str]"
    url: str
    home: Path
    client: GatewayClient

    def serve(self, order: ServingOrder) -> None:
        self.client.serve(order, PATIENCE_S)

    def status(self) -> ModelStatus:
        return self.client.status(MODEL)

    def pid_of(self, role: Role) -> int | None:
        return next((worker.pid for worker in self.status().workers if worker.role is role), None)

    def stop(self) -> None:
        """Let it end in order, with everything in the log."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0

    def score(self, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.url}/models/{MODEL}/invocations", json=ROW, headers=headers, timeout=PATIENCE_S)

    def role(self) -> Role | None:
        """Say as what the version answers that answers now; None where none does."""
        answer = self.score()
        return Role(answer.headers["x-understudy-role"]) if answer.status_code == 200 else None

    def log(self) -> Any:
        return read(self.home / "gateway" / "log" / MODEL)


def train(home: Path) -> Trained:
    """Train three versions of a model, each another one."""
    draw = np.random.default_rng(1)
    rows = pd.DataFrame(draw.normal(size=(300, 3)), columns=["a", "b", "c"])
    features = Features(names=("a", "b", "c"))
    made = {}
    for version in (1, 2, 3):
        labels = (rows["a"] + version * rows["b"] > 0).astype(int).to_numpy()
        estimator = estimators_for(MlTask.BINARY)["logistic_regression"]
        model = build_pipeline(estimator, features, {}, version).fit(rows, labels)
        facts = ModelFacts(
            model=MODEL,
            estimator="logistic_regression",
            task=MlTask.BINARY,
            target="y",
            features=features,
            inputs=("a", "b", "c"),
            classes=(0, 1),
        )
        folder = home / str(version)
        save_model(folder, Scorer(facts, model), rows, None, datetime(2024, 1, 1, tzinfo=timezone.utc))
        made[version] = (folder, bundle(version, artefact_of(folder, home).sha256))
    return made


def bundle(version: int, sha256: str) -> Bundle:
    return Bundle(
        model=MODEL,
        version=version,
        model_sha256=sha256,
        image_digest="image",
        code_commit="commit",
        spec_sha256="spec",
        data_version="data",
        run="run",
        reference_data="data",
    )


def lay_out(home: Path, trained: Trained) -> Path:
    """Put the files of all versions where a gateway looks for them."""
    for version, (folder, _) in trained.items():
        shutil.copytree(folder, home / "bundles" / MODEL / str(version))
    return home


@contextmanager
def running(home: Path, serve: str = SERVE, **given: Any) -> Iterator[Running]:
    config = {
        "name": "g",
        "port": 0,
        "state_dir": str(home / "gateway"),
        "bundles_dir": str(home / "bundles"),
        "token": TOKEN.get_secret_value(),
        **given,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", serve, json.dumps(config)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            url = process.stdout.readline().strip()
            yield Running(process, url, home, GatewayClient(url, TOKEN))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def order_of(
    trained: Trained,
    epoch: int,
    champion: int,
    previous: int | None = None,
    mirror: int | None = None,
    *,
    change: Change = Change.PROMOTION,
    allow_pickle: bool = False,
    **serving: Any,
) -> ServingOrder:
    named = {name: trained[version][1] for name, version in (("previous", previous), ("mirror", mirror)) if version}
    record = Deployment(
        model=MODEL,
        epoch=epoch,
        change=change,
        champion=trained[champion][1],
        previous=named.get("previous"),
        mirror=named.get("mirror"),
        mirror_share=1.0 if mirror else 0.0,
    )
    terms = ServingTerms(task=MlTask.BINARY, serving=ServingSpec(**serving), allow_pickle=allow_pickle)
    return ServingOrder(record=record, terms=terms)


class Traffic:
    """Four callers who ask and ask."""

    def __init__(self, url: str, bodies: Sequence[object] = (ROW,)) -> None:
        self.answers: list[tuple[float, int, str, str]] = []
        """When it was asked, the status, and the version and role of who answered."""
        self._bodies = itertools.cycle(bodies)
        self._url = f"{url}/models/{MODEL}/invocations"
        self._enough = threading.Event()
        self._callers = [threading.Thread(target=self._call) for _ in range(4)]

    def __enter__(self) -> "Traffic":
        for caller in self._callers:
            caller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for caller in self._callers:
            caller.join()

    def wait_for(self, more: int) -> None:
        target = len(self.answers) + more
        until(lambda: len(self.answers) >= target)

    def _call(self) -> None:
        with httpx.Client(timeout=PATIENCE_S) as client:
            while not self._enough.is_set():
                asked = time.monotonic()
                answer = client.post(self._url, json=next(self._bodies))
                named = [answer.headers.get(f"x-understudy-{name}", "") for name in ("version", "role")]
                self.answers.append((asked, answer.status_code, named[0], named[1]))


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    # What the other side never read may break the connection before its answer is here.
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def connect(gateway: Running) -> socket.socket:
    host, port = gateway.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)
