"""One nursery for all tests of scoring processes: it takes seconds to open."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.integration.scoring.hostile_model import HOSTILE
from tests.integration.scoring.process import Run, saved, start_of
from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.words import MlTask
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import Worker
from understudy.stages.model.features import Features
from understudy.stages.model.load_code import load_function
from understudy.stages.model.pipeline import build_pipeline


@pytest.fixture(scope="package")
def run() -> Iterator[Run[Any]]:
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()


@pytest.fixture(scope="package")
def nursery(run: Run[Any]) -> Iterator[Nursery]:
    nursery = Nursery()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_SECRET_OF_THE_GATEWAY", "hunter2")
        run(nursery.open())
    yield nursery
    run(nursery.close())


@pytest.fixture(scope="package")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(1)
    rows = pd.DataFrame(random.normal(size=(300, 3)), columns=["a", "b", "c"])
    labels = (rows["a"] + rows["b"] > 0).astype(int).to_numpy()
    rows.loc[1, "c"] = np.nan
    features = Features(names=("a", "b", "c"))
    model = build_pipeline(estimators_for(MlTask.BINARY)["logistic_regression"], features, {}, 0).fit(rows, labels)
    return saved(tmp_path_factory.mktemp("honest") / "1", model, MlTask.BINARY, rows, classes=(0, 1))


@pytest.fixture(scope="package")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code = tmp_path_factory.mktemp("code")
    (code / "trainer.py").write_text(HOSTILE, encoding="utf-8")
    rows = pd.DataFrame({"deed": np.zeros(20), "detail": np.zeros(20)})
    model = load_function(code, "trainer.py:make")()
    return saved(tmp_path_factory.mktemp("hostile") / "1", model, MlTask.REGRESSION, rows, code=code)


@pytest.fixture
def worker(run: Run[Any], nursery: Nursery, hostile: Path) -> Iterator[Worker]:
    worker = run(nursery.spawn(start_of(hostile, memory_mib=1024)))
    yield worker
    run(worker.kill())
