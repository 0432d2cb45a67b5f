"""What can break at a gateway, broken under load: real processes, real files, real HTTP."""

import itertools
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest

from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    ROW,
    SERVE,
    Running,
    Traffic,
    Trained,
    bundle,
    lay_out,
    order_of,
    running,
    train,
    until,
)
from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import ServingOrder
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, MlTask, Role
from understudy.gateway.log.read import read_log
from understudy.gateway.request_ids import RequestIds
from understudy.hooks.gateway_errors import GatewayIsAhead, GatewayRefused
from understudy.stages.features import Features
from understudy.stages.load_code import load_function
from understudy.stages.model_files import save_model
from understudy.stages.scorer import ModelFacts, Scorer

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
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Three honest versions, and a fourth with moods."""
    home = tmp_path_factory.mktemp("trained")
    made = train(home)
    code = tmp_path_factory.mktemp("code")
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
    made[MOODY_VERSION] = (folder, bundle(MOODY_VERSION, artefact_of(folder, home).sha256))
    return made


@pytest.fixture
def home(tmp_path: Path, trained: Trained) -> Path:
    return lay_out(tmp_path, trained)


@pytest.fixture
def order(trained: Trained) -> Callable[..., ServingOrder]:
    return partial(order_of, trained, allow_pickle=True)


def stop(gateway: Running) -> None:
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(PATIENCE_S) == 0


def test_a_challenger_with_every_mood_costs_nobody_an_answer_and_each_copy_is_accounted_for(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(home) as gateway:
        gateway.serve(order(1, 1, timeout_ms=1_000))
        rehearsal = {"mirror": MOODY_VERSION, "change": Change.MIRROR_STARTED, "timeout_ms": 1_000}
        gateway.serve(order(2, 1, **rehearsal))
        with Traffic(gateway.url, [ROW]) as traffic:
            for epoch, mood in enumerate(MOODS.values(), start=3):
                until(lambda: gateway.pid_of(Role.SHADOW) is not None)
                answer = httpx.post(f"{gateway.url}/models/{MODEL}/invocations", json=body(mood), timeout=PATIENCE_S)
                assert (answer.status_code, answer.headers["x-understudy-version"]) == (200, "1")
                traffic.wait_for(100)
                # A version that died too often is left dead until the next record.
                gateway.serve(order(epoch, 1, **rehearsal))
            traffic.wait_for(100)
        assert {answer[1:] for answer in traffic.answers} == {(200, "1", "champion")}
        stop(gateway)
        rows = gateway.log()
        asked = set(rows.filter(rows["role"] == "champion")["request_id"])
        copies = rows.filter(rows["role"] == "shadow")
        assert len(asked) == len(traffic.answers) + len(MOODS)
        assert copies["request_id"].n_unique() == copies.height
        assert set(copies["request_id"]) == asked
        assert {"down", "timeout", "failed"} <= set(copies["loss"].drop_nulls())


def test_a_challenger_that_cannot_start_is_refused_and_the_champion_answers_on(home: Path, trained: Trained) -> None:
    without_leave = partial(order_of, trained, allow_pickle=False)
    with running(home) as gateway:
        gateway.serve(without_leave(1, 1))
        with Traffic(gateway.url) as traffic:
            with pytest.raises(GatewayRefused, match="pickle"):
                gateway.serve(without_leave(2, 1, mirror=MOODY_VERSION, change=Change.MIRROR_STARTED))
            traffic.wait_for(50)
        assert {answer[1:] for answer in traffic.answers} == {(200, "1", "champion")}
        assert gateway.status().epoch == 1


def _flip_a_bit(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def _take_anothers(model: Path) -> None:
    model.write_bytes(Path(str(model).replace(f"/{MODEL}/2/", f"/{MODEL}/3/")).read_bytes())


SPOIL: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "truncated": lambda model: os.truncate(model, model.stat().st_size // 2),
    "with a flipped bit": _flip_a_bit,
    "another valid model's": _take_anothers,
}


def test_a_new_champion_with_other_files_than_were_registered_is_refused_under_load(
    home: Path, trained: Trained, order: Callable[..., ServingOrder]
) -> None:
    files = home / "bundles" / MODEL / "2"
    with running(home) as gateway:
        gateway.serve(order(1, 1))
        with Traffic(gateway.url) as traffic:
            for spoil in SPOIL.values():
                spoil(next(files.rglob("*.skops")))
                with pytest.raises(GatewayRefused):
                    gateway.serve(order(2, 2, previous=1))
                shutil.rmtree(files)
                shutil.copytree(trained[2][0], files)
            traffic.wait_for(50)
            assert {answer[1:] for answer in traffic.answers} == {(200, "1", "champion")}
            assert gateway.status().epoch == 1
            gateway.serve(order(2, 2, previous=1))
            traffic.wait_for(50)
        assert {answer[1] for answer in traffic.answers} == {200}
        assert traffic.answers[-1][2] == "2"


def test_a_new_champion_that_was_registered_broken_is_refused_under_load(
    home: Path, trained: Trained, order: Callable[..., ServingOrder]
) -> None:
    files = home / "bundles" / MODEL / "2"
    next(files.rglob("*.skops")).write_bytes(b"this was never a model")
    broken = bundle(2, artefact_of(files, files.parent).sha256)
    with running(home) as gateway:
        gateway.serve(order(1, 1))
        with Traffic(gateway.url) as traffic:
            with pytest.raises(GatewayRefused):
                gateway.serve(order_of({**trained, 2: (files, broken)}, 2, 2, previous=1))
            traffic.wait_for(50)
        assert {answer[1:] for answer in traffic.answers} == {(200, "1", "champion")}
        assert gateway.status().epoch == 1


def test_a_champion_that_hangs_is_replaced_and_nobody_waits_longer_than_was_said(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(home) as gateway:
        gateway.serve(order(1, 1, timeout_ms=1_000))
        gateway.serve(order(2, 2, previous=1, timeout_ms=1_000))
        until(lambda: all(worker.is_ready for worker in gateway.status().workers))
        stopped = gateway.pid_of(Role.CHAMPION)
        assert stopped is not None
        with Traffic(gateway.url) as traffic:
            traffic.wait_for(50)
            os.kill(stopped, signal.SIGSTOP)
            until(lambda: gateway.pid_of(Role.CHAMPION) not in {None, stopped})
            traffic.wait_for(50)
        assert {answer[1] for answer in traffic.answers} <= {200, 504}
        # Each of the four callers may have had one request in the hung process, and none after that.
        assert Counter(answer[1] for answer in traffic.answers)[504] <= 4
        assert traffic.answers[-1][1:] == (200, "2", "champion")


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


def test_overload_is_told_to_come_again_and_what_was_taken_is_answered(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(home) as gateway:
        gateway.serve(order(1, 1, max_queue=5, max_batch=1, timeout_ms=60_000))
        busy = gateway.pid_of(Role.CHAMPION)
        assert busy is not None
        os.kill(busy, signal.SIGSTOP)
        with ThreadPoolExecutor(30) as callers:
            asked = [callers.submit(gateway.score) for _ in range(30)]
            until(lambda: sum(answer.done() for answer in asked) >= 24)
            os.kill(busy, signal.SIGCONT)
        answers = [answer.result() for answer in asked]
        # One is being scored and five wait.
        assert Counter(answer.status_code for answer in answers) == {200: 6, 429: 24}
        assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}
        assert httpx.get(f"{gateway.url}/health").json()["models"][MODEL]["refused"] == 24
        assert gateway.score().status_code == 200


@pytest.mark.parametrize("is_strict", [False, True])
def test_a_log_that_cannot_be_written_is_said_and_recovers_by_itself(
    home: Path, order: Callable[..., ServingOrder], is_strict: bool
) -> None:
    place = home / "gateway" / "log" / MODEL / "segments"
    place.parent.mkdir(parents=True)
    place.write_text("in the way of a folder")
    with running(home) as gateway:
        gateway.serve(order(1, 1, strict_log=is_strict))
        refused = gateway.score()
        assert refused.status_code == (503 if is_strict else 200)
        assert refused.headers.get("retry-after") == ("1" if is_strict else None)

        def problems() -> list[str]:
            return list(httpx.get(f"{gateway.url}/health").json()["models"][MODEL]["problems"])

        until(lambda: any("log" in problem for problem in problems()))
        place.unlink()
        until(lambda: gateway.score().status_code == 200 and not problems())
        last = gateway.score().headers["x-understudy-request-id"]
        stop(gateway)
        log = read_log(home / "gateway" / "log" / MODEL)
        assert last in set(log.rows["request_id"])
        # Without strict mode they waited for the disk; in strict mode they were refused, and are counted.
        assert (log.accounts.lost > 0) == is_strict


# Kill the gateway itself, once, at a named point of the second order that it follows.
DEADLY = """
import os, signal
from pathlib import Path
from understudy.gateway import nursery, record_store, served_model


def die_at(owner, name, before):
    real = getattr(owner, name)

    def done(*args, **kwargs):
        is_armed = Path({armed!r}).exists()
        if is_armed and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if is_armed:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, done)


points = {{
    "loading": (nursery.Nursery, "spawn", True),
    "drafted": (record_store.os, "replace", True),
    "replaced": (record_store.os, "replace", False),
    "flipped": (served_model.ServedModel, "_flip", False),
}}
die_at(*points[{point!r}])
"""


def test_a_gateway_killed_at_any_step_of_an_order_serves_one_whole_record(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    armed = home / "armed"
    champion, other, epoch = 1, 2, 1
    for point, is_kept in {"loading": False, "drafted": False, "replaced": True, "flipped": True}.items():
        with running(home, DEADLY.format(point=point, armed=str(armed)) + SERVE) as gateway:
            if epoch == 1:
                gateway.serve(order(1, champion))
            until(lambda: gateway.role() is Role.CHAMPION)  # the one before answers while it is loaded
            assert serving(gateway) == (epoch, champion)
            armed.touch()
            # There and back again: a promotion, then a rollback.
            change = Change.PROMOTION if champion == 1 else Change.ROLLBACK
            with pytest.raises(UnderstudyError):
                gateway.serve(order(epoch + 1, other, previous=champion, change=change))
            gateway.process.wait(PATIENCE_S)
            armed.unlink()
        if is_kept:
            champion, other, epoch = other, champion, epoch + 1
    with running(home) as gateway:
        until(lambda: gateway.role() is Role.CHAMPION)  # the one before answers while it is loaded
        assert serving(gateway) == (epoch, champion)
        gateway.serve(order(epoch + 1, other, previous=champion))
        assert serving(gateway) == (epoch + 1, other)


def serving(gateway: Running) -> tuple[int, int]:
    headers = gateway.score().headers
    status = gateway.status()
    told = int(headers["x-understudy-epoch"]), int(headers["x-understudy-version"])
    assert told == (status.epoch, status.version)
    return told


def test_of_orders_at_once_one_wins_each_epoch_and_the_newest_stays(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(home) as gateway:
        gateway.serve(order(1, 1))
        orders = [order(epoch, champion) for epoch in range(2, 8) for champion in (1, 2)]
        start = threading.Barrier(len(orders))

        def send(one: ServingOrder) -> tuple[int, int] | None:
            start.wait()
            try:
                acknowledged = gateway.client.serve(one, PATIENCE_S)
            except GatewayIsAhead:
                return None
            return acknowledged.epoch, acknowledged.version

        with Traffic(gateway.url) as traffic, ThreadPoolExecutor(len(orders)) as senders:
            won = [one for one in senders.map(send, orders) if one is not None]
        assert {answer[1] for answer in traffic.answers} == {200}
        assert len({epoch for epoch, _ in won}) == len(won)
        assert max(won)[0] == 7
        status = gateway.status()
        assert (status.epoch, status.version) == max(won)
        # A task that is repeated is told the same again.
        epoch, version = max(won)
        assert gateway.client.serve(order(epoch, version), PATIENCE_S).epoch == epoch


def test_one_name_for_two_requests_is_two_requests_and_a_label_of_that_name_is_both_theirs(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(home) as gateway:
        gateway.serve(order(1, 1, mirror=2, change=Change.MIRROR_STARTED))
        ours = {gateway.score(**{"x-request-id": "twice"}).headers["x-understudy-request-id"] for _ in range(2)}
        assert len(ours) == 2
        labels = {"labels": [{"client_id": "twice", "row": 0, "label": 1}]}
        assert httpx.post(f"{gateway.url}/models/{MODEL}/labels", json=labels).json() == {"accepted": 1}
        stop(gateway)
        rows = gateway.log()
        assert set(rows["client_id"]) == {"twice"}
        assert set(rows["request_id"]) == ours
        assert Counter(rows["role"]) == {"champion": 2, "shadow": 2}
        assert rows["label"].null_count() == 0


def test_a_clock_that_is_set_back_gives_no_name_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = RequestIds()
    monkeypatch.setattr("understudy.gateway.request_ids.time.time_ns", iter([7, 5, 7, 5]).__next__)
    assert len({ids.next()[0] for _ in range(4)}) == 4


COLLECTING = """
import gc, threading, time


def collect():
    while True:
        time.sleep(0.05)
        gc.collect()


threading.Thread(target=collect, daemon=True).start()
"""
SOAK_REQUESTS = 3_000


def test_a_soak_with_a_busy_collector_loses_nothing_and_takes_no_memory(
    home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(home, COLLECTING + SERVE, compact_s=1.0) as gateway:
        gateway.serve(order(1, 1))
        gateway.serve(order(2, 2, previous=1, mirror=1))
        process = psutil.Process(gateway.process.pid)
        with Traffic(gateway.url) as traffic:
            traffic.wait_for(500)
            before = process.memory_info().rss
            for epoch in itertools.count(3):
                # An order now and then, so that tasks begin and end.
                gateway.serve(order(epoch, 1 + epoch % 2, previous=2 - epoch % 2, mirror=2 - epoch % 2))
                traffic.wait_for(250)
                if len(traffic.answers) >= SOAK_REQUESTS:
                    break
            grown = process.memory_info().rss - before
        assert {answer[1] for answer in traffic.answers} == {200}
        assert grown < 48 << 20
        stop(gateway)
        log = read_log(home / "gateway" / "log" / MODEL)
        shadows = log.rows.filter(log.rows["role"] == "shadow")
        answers = log.rows.filter(log.rows["role"] != "shadow")
        assert answers["request_id"].n_unique() == answers.height == len(traffic.answers)
        assert shadows["request_id"].n_unique() == shadows.height
        assert set(shadows["request_id"]) <= set(answers["request_id"])
        # At a flip, what each of the four callers waits for may be answered by the version that mirrors from then on.
        assert answers.height - shadows.height <= 4 * (epoch - 1)
        assert log.accounts == (0, 0)
