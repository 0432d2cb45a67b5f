"""The prediction log against the world: killed processes, readers and compaction beside the writer, the same answer."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import psutil
import pytest
from typer.testing import CliRunner

from understudy.cli import predictions
from understudy.cli.app import app
from understudy.contract.estimators import estimators_for
from understudy.contract.release import Bundle
from understudy.contract.stage import artefact_of
from understudy.contract.words import MlTask, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.compact import compact
from understudy.gateway.log.find import find
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.log.read import read, read_log
from understudy.gateway.log.segment import segments_in
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import WorkerStart
from understudy.settings import settings
from understudy.stages.features import Features
from understudy.stages.model_files import save_model
from understudy.stages.pipeline import build_pipeline
from understudy.stages.scorer import ModelFacts, Scorer

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0

# What a gateway does with its log, in a process that can be killed.
KILLED = """
import asyncio, os, sys, time
from pathlib import Path
from understudy.contract.release import Bundle
from understudy.contract.words import MlTask, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.prediction_log import PredictionLog

BUNDLE = Bundle(model="m", version=1, model_sha256="a", image_digest="b", code_commit="c", spec_sha256="d",
                data_version="e", run="r", reference_data="e")

def row(number):
    answer = Answer(200, b"", 1, b'{"predictions":[%d],"probabilities":null}' % number, 1, 1)
    item = Item(Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5]}}')
    return LogRow(f"r{number}", None, time.time_ns(), 1, Role.CHAMPION, BUNDLE, item, answer, None, 1, 1)

def log(strict):
    return PredictionLog(Path(sys.argv[1]), pii=(), strict=strict, keep_s=1e7, max_bytes=1 << 30)

async def strict():
    kept, number = log(True), 0
    while True:
        waiting = [(n, kept.append(row(n))) for n in range(number, number + 5)]
        for n, future in waiting:
            await future
            print(n, flush=True)
        number += 5

async def default():
    kept = log(False)
    for number in range(300):
        kept.append(row(number))
    while kept.health.written < 300:
        await asyncio.sleep(0.01)
    for number in range(300, 305):
        kept.append(row(number))
    os.kill(os.getpid(), 9)

async def measuring():
    from datetime import datetime, timezone
    from understudy.contract.serving import RehearsalQuery
    from understudy.gateway.log import apart
    from understudy.gateway.log.evidence import measure
    query = RehearsalQuery(champion_version=1, mirror_version=2, since=datetime.now(timezone.utc), block_s=60)
    await measure(Path(sys.argv[1]), "g", "m", MlTask.BINARY, query, {})
    print(*apart.POOL.get()._processes, flush=True)
    await asyncio.sleep(3600)

if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[2]]())
"""


def start(tmp_path: Path, what: str) -> "subprocess.Popen[str]":
    script = tmp_path / "gateway.py"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "plugins")}
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "m"), what], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_strict_loses_nothing_that_was_acknowledged_when_its_process_is_killed(tmp_path: Path) -> None:
    with start(tmp_path, "strict") as gateway:
        assert gateway.stdout is not None
        acknowledged = [int(gateway.stdout.readline()) for _ in range(200)]
        gateway.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in gateway.stdout if line.endswith("\n")]
    log = read_log(tmp_path / "m")
    assert set(acknowledged) <= set(log.rows["prediction"].to_list())
    assert log.accounts.damaged == 0


def test_what_was_written_outlives_its_process_and_only_the_window_is_lost(tmp_path: Path) -> None:
    with start(tmp_path, "default") as gateway:
        gateway.wait(PATIENCE_S)
    found = sorted(read(tmp_path / "m")["prediction"].to_list())
    assert found[:300] == list(range(300))
    assert found == list(range(len(found)))


def test_a_dead_writers_segment_is_compacted(tmp_path: Path) -> None:
    with start(tmp_path, "default") as gateway:
        gateway.wait(PATIENCE_S)
    (path,) = segments_in(tmp_path / "m" / "segments")
    os.truncate(path, path.stat().st_size - 10)
    done = compact(tmp_path / "m")
    assert (done.segments, done.damaged) == (1, 1)
    assert read(tmp_path / "m").height == done.rows >= 299


def test_the_process_that_reads_the_log_ends_with_the_gateway(tmp_path: Path) -> None:
    with start(tmp_path, "measuring") as gateway:
        assert gateway.stdout is not None
        reader = psutil.Process(int(gateway.stdout.readline()))
        gateway.send_signal(signal.SIGKILL)
        reader.wait(PATIENCE_S)


def a_row(number: int) -> LogRow:
    answer = Answer(200, b"", 1, b'{"predictions":[%d],"probabilities":null}' % number, 1, 1)
    item = Item(Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5]}}')
    return LogRow(f"r{number}", None, time.time_ns(), 1, Role.CHAMPION, a_bundle("a"), item, answer, None, 1, 1)


def a_bundle(sha256: str, version: int = 1) -> Bundle:
    return Bundle(
        model="m",
        version=version,
        model_sha256=sha256,
        image_digest="b",
        code_commit="c",
        spec_sha256="d",
        data_version="e",
        run="r",
        reference_data="e",
    )


class Onlookers:
    """Compact and read a log for as long as another writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged = self.looks = 0
        self.wrong: list[str] = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._compact, self._read)]

    def __enter__(self) -> "Onlookers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _compact(self) -> None:
        while not self._is_over.is_set():
            compact(self.folder)

    def _read(self) -> None:
        while not self._is_over.is_set():
            known = self.acknowledged
            seen = read(self.folder)["prediction"].to_list()
            if len(seen) != len(set(seen)):
                self.wrong.append("a row was seen twice")
            if not set(range(known)) <= set(seen):
                self.wrong.append("a row was not seen")
            self.looks += 1


def test_a_reader_sees_each_row_once_while_it_is_written_and_compacted(tmp_path: Path) -> None:
    async def writing(others: Onlookers) -> None:
        log = PredictionLog(tmp_path, pii=(), strict=True, keep_s=1e7, max_bytes=1)  # the smallest segments
        log._writer._max_bytes = 1 << 30
        end = time.monotonic() + PATIENCE_S
        while others.looks < 5 or others.acknowledged < 1_500:
            assert time.monotonic() < end, f"the log was read {others.looks} times"
            first = others.acknowledged
            for row in [log.append(a_row(first + more)) for more in range(10)]:
                assert row is not None
                await row
            others.acknowledged = first + 10
        await log.close()

    with Onlookers(tmp_path) as others:
        asyncio.run(writing(others))
    assert others.wrong == []
    assert read(tmp_path)["prediction"].sort().to_list() == list(range(others.acknowledged))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(1)
    rows = pd.DataFrame(random.normal(size=(300, 2)), columns=["a", "b"]).assign(k=random.choice(["u", "v"], 300))
    labels = np.where(rows["a"] + (rows["k"] == "u") > 0, "up", "down")
    features = Features(names=("a", "b", "k"), texts=("k",))
    found = estimators_for(MlTask.BINARY)["logistic_regression"]
    fitted = build_pipeline(found, features, {}, 0).fit(features.of(rows), labels)
    facts = ModelFacts(
        model="m",
        estimator="logistic_regression",
        task=MlTask.BINARY,
        target="y",
        features=features,
        inputs=features.names,
        classes=("down", "up"),
    )
    folder = tmp_path_factory.mktemp("bundles") / "1"
    day = datetime(2024, 1, 1, tzinfo=timezone.utc)
    save_model(folder, Scorer(facts, fitted), features.of(rows), None, day, allow_pickle=False)
    return folder


class Registry:
    """Stand for MLflow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = a_bundle(artefact_of(folder, folder.parent).sha256)

    def bundle_of(self, model: str, version: int) -> Bundle:
        return self.bundle

    def keep(self, bundle: Bundle) -> Path:
        return self.folder


@pytest.fixture
def registry(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    found = Registry(model)
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    settings.cache_clear()
    monkeypatch.setattr(predictions, "hooks", lambda: SimpleNamespace(registry=found))
    yield found
    settings.cache_clear()


NAMES = [f"{time.time_ns():016x}{number:016x}" for number in range(6)]
BODIES = {
    NAMES[0]: Item(
        Wire.MLFLOW_JSON, b'{"dataframe_split":{"columns":["a","b","k"],"data":[[1,0.25,"u"],[-2.5,1,"v"]]}}'
    ),
    NAMES[1]: Item(Wire.MLFLOW_CSV, b"k,a,b\nu,0.1,0.2\n"),
    NAMES[2]: Item(
        Wire.V2_JSON,
        orjson.dumps(
            {
                "inputs": [
                    {"name": "a", "shape": [1], "datatype": "FP64", "data": [0.1]},
                    {"name": "b", "shape": [1, 1], "datatype": "FP64", "data": [[0.3]]},
                    {"name": "k", "shape": [1], "datatype": "BYTES", "data": ["v"]},
                ]
            }
        ),
    ),
    NAMES[3]: Item(Wire.MLFLOW_JSON, b'{"dataframe_records":[{"a":1,"b":2,"k":"u"},{"a":null,"b":7}]}'),
    NAMES[4]: Item(Wire.MLFLOW_JSON, b'{"dataframe_split":{"columns":["a"],"data":[[1]]}}'),
}


async def answered_and_logged(registry: Registry, folder: Path, *, then_compact: bool) -> dict[str, list[Answer]]:
    """Let one version answer all requests, log that, and let it answer what the log holds of them."""
    nursery = Nursery()
    log = PredictionLog(folder, pii=(), strict=False, keep_s=1e9, max_bytes=1 << 30)
    try:
        worker = await nursery.spawn(
            WorkerStart(bundle=registry.bundle, folder=str(registry.folder), memory_bytes=2 << 30, max_rows=100)
        )
        first = await worker.score(list(BODIES.values()))
        for (name, item), answer in zip(BODIES.items(), first, strict=True):
            ts_ns = int(name[:16], 16)
            log.append(LogRow(name, None, ts_ns, 1, Role.CHAMPION, registry.bundle, item, answer, None, 1, 1))
        await log.close()
        if then_compact:
            compact(folder)
        items = [found.item for name in NAMES[:4] for found in find(folder.parent, name)]
        again = await worker.score([item for item in items if item is not None])
        await worker.close()
    finally:
        await nursery.close()
    return {name: [before, after] for name, before, after in zip(NAMES[:4], first, again, strict=False)}


def reproduce(name: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, ["predictions", "reproduce", name, "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_logged_request_gets_the_same_answer_again(registry: Registry, tmp_path: Path, is_compacted: bool) -> None:
    folder = tmp_path / "gateway" / "log" / "m"
    answers = asyncio.run(answered_and_logged(registry, folder, then_compact=is_compacted))
    assert len(answers) == 4
    for before, after in answers.values():
        assert (before.status, after.status) == (200, 200)
        assert before.output == after.output
    if is_compacted:
        code, found = reproduce(NAMES[3])
        assert (code, found["is_equal"], found["logged"]) == (0, True, found["now"])
        assert len(found["now"]["predictions"]) == 2
    code, found = reproduce(NAMES[4])
    assert (code, found["kind"]) == (1, "NotReproducible")
    assert "answered with 4" in found["error"]
    assert reproduce(NAMES[5])[1]["kind"] == "NoSuchPrediction"


def test_another_answer_or_another_version_is_said(registry: Registry, tmp_path: Path) -> None:
    folder, name = tmp_path / "gateway" / "log" / "m", NAMES[0]

    async def log_a_lie() -> None:
        log = PredictionLog(folder, pii=(), strict=False, keep_s=1e9, max_bytes=1 << 30)
        lie = Answer(200, b"", 2, b'{"predictions":["down","down"],"probabilities":[[0.5,0.5],[0.5,0.5]]}', 1, 1)
        ts_ns = int(name[:16], 16)
        log.append(LogRow(name, None, ts_ns, 1, Role.CHAMPION, registry.bundle, BODIES[name], lie, None, 1, 1))
        await log.close()

    asyncio.run(log_a_lie())
    code, found = reproduce(name)
    assert (code, found["is_equal"]) == (1, False)
    assert found["logged"]["predictions"] == ["down", "down"]
    registry.bundle = a_bundle("f" * 64)
    code, found = reproduce(name)
    assert (code, found["kind"]) == (1, "NotReproducible")
    assert "registered with the digest ffff" in found["error"]


def test_a_request_without_its_personal_columns_cannot_be_asked_again(registry: Registry, tmp_path: Path) -> None:
    folder, name = tmp_path / "gateway" / "log" / "m", NAMES[0]

    async def log_it() -> None:
        log = PredictionLog(folder, pii=("k",), strict=False, keep_s=1e9, max_bytes=1 << 30)
        answer = Answer(200, b"", 2, b'{"predictions":["up","up"],"probabilities":null}', 1, 1)
        ts_ns = int(name[:16], 16)
        log.append(LogRow(name, None, ts_ns, 1, Role.CHAMPION, registry.bundle, BODIES[name], answer, None, 1, 1))
        await log.close()

    asyncio.run(log_it())
    code, found = reproduce(name)
    assert (code, found["kind"]) == (1, "NotReproducible")
    assert "pii" in found["error"]
