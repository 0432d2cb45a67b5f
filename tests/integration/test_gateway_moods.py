"""A version that does what no version should, as the challenger and as the champion; callers' answers are looked at."""

from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    ROW,
    Traffic,
    Trained,
    bundle,
    lay_out,
    order_of,
    running,
    until,
)
from understudy.contract.serving import ServingOrder
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, MlTask, Role
from understudy.hooks.places.gateway_errors import GatewayRefused
from understudy.stages.model.features import Features
from understudy.stages.model.load_code import load_function
from understudy.stages.model.model_files import save_model
from understudy.stages.model.scorer import ModelFacts, Scorer

# A model whose behaviour the column "c" decides; for any other value it predicts.
MOODY = """
import os, signal, time
import numpy as np


class Model:
    def predict(self, typed):
        answers = typed["a"].to_numpy().astype(float)
        for c in typed["c"]:
            if c == 601: os.kill(os.getpid(), signal.SIGKILL)
            if c == 602: raise ValueError("no such row")
            if c == 603: answers[:] = np.nan
            if c == 604: time.sleep(3600)
            if c == 605: return answers[:0]
            if c == 606: np.ones(4 << 30, dtype=np.uint8).sum()
        return answers


def make():
    return Model()
"""
MOODS = {"dies": 601, "raises": 602, "answers NaN": 603, "hangs": 604, "answers too few": 605, "takes memory": 606}
MOODY_VERSION = 4


def body(c: float) -> dict[str, Any]:
    return {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.0, 2.0, float(c)]]}}


@pytest.fixture(scope="module")
def moody(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Add a version with moods to three honest ones."""
    home, code = tmp_path_factory.mktemp("trained"), tmp_path_factory.mktemp("code")
    (code / "trainer.py").write_text(MOODY, encoding="utf-8")
    rows = pd.DataFrame(np.zeros((20, 3)), columns=["a", "b", "c"])
    facts = ModelFacts(
        model=MODEL,
        estimator="moody",
        task=MlTask.REGRESSION,
        target="y",
        features=Features(names=("a", "b", "c")),
        inputs=("a", "b", "c"),
    )
    folder = home / str(MOODY_VERSION)
    scorer = Scorer(facts, load_function(code, "trainer.py:make")())
    save_model(folder, scorer, rows, code, datetime(2024, 1, 1, tzinfo=timezone.utc), allow_pickle=True)
    return {**trained, MOODY_VERSION: (folder, bundle(MOODY_VERSION, artefact_of(folder, home).sha256))}


@pytest.fixture
def home(tmp_path: Path, moody: Trained) -> Path:
    return lay_out(tmp_path, moody)


@pytest.fixture
def order(moody: Trained) -> Callable[..., ServingOrder]:
    return partial(order_of, moody, allow_pickle=True)


def test_a_challenger_with_every_mood_costs_nobody_an_answer_and_each_copy_is_accounted_for(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    expected = {"dies": "down", "hangs": "timeout"}
    with running(home) as gateway:
        gateway.serve(order(1, 1, timeout_ms=1_000))
        rehearsal = {"mirror": MOODY_VERSION, "change": Change.MIRROR_STARTED, "timeout_ms": 1_000}
        gateway.serve(order(2, 1, **rehearsal))
        with Traffic(gateway.url, [ROW]) as traffic:
            named = {}
            for epoch, (mood, c) in enumerate(MOODS.items(), start=3):
                process = gateway.pid_of(Role.SHADOW)
                answer = httpx.post(f"{gateway.url}/models/{MODEL}/invocations", json=body(c), timeout=PATIENCE_S)
                assert (answer.status_code, answer.headers["x-understudy-version"]) == (200, "1")
                named[answer.headers["x-understudy-request-id"]] = mood
                traffic.wait_for(100)
                if mood in expected:
                    until(lambda process=process: gateway.pid_of(Role.SHADOW) not in {None, process})  # type: ignore[misc]
                # A version that died too often is left dead until the next record.
                gateway.serve(order(epoch, 1, **rehearsal))
            traffic.wait_for(100)
        assert {answer[1:] for answer in traffic.answers} == {(200, "1", "champion")}
        gateway.stop()
        rows = gateway.log()
        asked = set(rows.filter(rows["role"] == "champion")["request_id"])
        copies = rows.filter(rows["role"] == "shadow")
        assert len(asked) == len(traffic.answers) + len(MOODS)
        assert copies["request_id"].n_unique() == copies.height
        assert set(copies["request_id"]) == asked
        losses = dict(copies.filter(copies["request_id"].is_in(list(named))).select("request_id", "loss").rows())
        for request_id, mood in named.items():
            # A machine that is too busy may add a timeout of its own.
            assert losses[request_id] in {expected.get(mood, "failed"), "timeout"}, mood


def test_a_challenger_that_cannot_start_is_refused_and_the_champion_answers_on(home: Path, moody: Trained) -> None:
    without_leave = partial(order_of, moody, allow_pickle=False)
    with running(home) as gateway:
        gateway.serve(without_leave(1, 1))
        with Traffic(gateway.url) as traffic:
            with pytest.raises(GatewayRefused, match="pickle"):
                gateway.serve(without_leave(2, 1, mirror=MOODY_VERSION, change=Change.MIRROR_STARTED))
            traffic.wait_for(50)
        assert {answer[1:] for answer in traffic.answers} == {(200, "1", "champion")}
        assert gateway.status().epoch == 1


def test_rows_that_a_champion_dies_of_or_raises_at_fail_alone(home: Path, order: Callable[..., ServingOrder]) -> None:
    with running(home) as gateway:
        gateway.serve(order(1, MOODY_VERSION))
        url = f"{gateway.url}/models/{MODEL}/invocations"
        with Traffic(gateway.url) as traffic:
            traffic.wait_for(20)
            for mood in ("raises", "answers NaN", "answers too few", "dies"):
                refused = httpx.post(url, json=body(MOODS[mood]), timeout=PATIENCE_S)
                assert (refused.status_code, set(refused.json())) == (500, {"error_code", "message"}), mood
                assert "no such row" not in refused.text
                traffic.wait_for(20)
        assert {answer[1:3] for answer in traffic.answers} == {(200, str(MOODY_VERSION))}


def test_a_row_that_the_champion_dies_of_is_answered_by_the_standby(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(home) as gateway:
        gateway.serve(order(1, 1))
        gateway.serve(order(2, MOODY_VERSION, previous=1))
        until(lambda: all(worker.is_ready for worker in gateway.status().workers))
        answer = httpx.post(f"{gateway.url}/models/{MODEL}/invocations", json=body(MOODS["dies"]), timeout=PATIENCE_S)
        assert (answer.status_code, answer.headers["x-understudy-role"]) == (200, "standby")
