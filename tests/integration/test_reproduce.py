"""What was logged gets the same answer again, and where it cannot, it is said why."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.integration.log_bundle import a_bundle
from understudy.cli import predictions
from understudy.cli.app import app
from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.release import Bundle
from understudy.contract.stage import artefact_of
from understudy.contract.words import MlTask, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.compact import compact
from understudy.gateway.log.find import find
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import WorkerStart
from understudy.settings import settings
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import save_model
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.scorer import ModelFacts, Scorer


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
