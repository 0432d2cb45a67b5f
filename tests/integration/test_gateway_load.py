"""A busy gateway: a champion that hangs, too many at once, a log that cannot be written, a soak."""

import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.real_gateway import (
    MODEL,
    SERVE,
    Traffic,
    running,
    until,
)
from understudy.contract.serving import ServingOrder
from understudy.contract.words import Change, Role
from understudy.gateway.log.read import read_log
from understudy.gateway.request_ids import RequestIds


def test_a_champion_that_hangs_is_replaced_and_nobody_waits_longer_than_was_said(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
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


def test_overload_is_told_to_come_again_and_what_was_taken_is_answered(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
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
    served_home: Path, order: Callable[..., ServingOrder], is_strict: bool
) -> None:
    place = served_home / "gateway" / "log" / MODEL / "segments"
    place.parent.mkdir(parents=True)
    place.write_text("in the way of a folder")
    with running(served_home) as gateway:
        gateway.serve(order(1, 1, strict_log=is_strict))
        answers = [gateway.score() for _ in range(3)]
        assert {answer.status_code for answer in answers} == {503 if is_strict else 200}
        assert {answer.headers.get("retry-after") for answer in answers} == {"1" if is_strict else None}

        def problems() -> list[str]:
            return list(httpx.get(f"{gateway.url}/health").json()["models"][MODEL]["problems"])

        until(lambda: any("log" in problem for problem in problems()))
        place.unlink()

        def is_well() -> bool:
            answers.append(gateway.score())
            return answers[-1].status_code == 200 and not problems()

        until(is_well)
        gateway.stop()
        log = read_log(served_home / "gateway" / "log" / MODEL)
        # Without strict mode they waited for the disk; in strict mode they were refused, and are counted.
        answered = {answer.headers["x-understudy-request-id"] for answer in answers if answer.status_code == 200}
        assert set(log.rows["request_id"]) == answered
        assert log.accounts.lost == len(answers) - len(answered)


def test_one_name_for_two_requests_is_two_requests_and_a_label_of_that_name_is_both_theirs(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1, mirror=2, change=Change.MIRROR_STARTED))
        ours = {gateway.score(**{"x-request-id": "twice"}).headers["x-understudy-request-id"] for _ in range(2)}
        assert len(ours) == 2
        labels = {"labels": [{"client_id": "twice", "row": 0, "label": 1}]}
        assert httpx.post(f"{gateway.url}/models/{MODEL}/labels", json=labels).json() == {"accepted": 1}
        gateway.stop()
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
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home, COLLECTING + SERVE, compact_s=1.0) as gateway:
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
        gateway.stop()
        log = read_log(served_home / "gateway" / "log" / MODEL)
        shadows = log.rows.filter(log.rows["role"] == "shadow")
        answers = log.rows.filter(log.rows["role"] != "shadow")
        assert answers["request_id"].n_unique() == answers.height == len(traffic.answers)
        assert shadows["request_id"].n_unique() == shadows.height
        assert set(shadows["request_id"]) <= set(answers["request_id"])
        # At a flip, what each of the four callers waits for may be answered by the version that mirrors from then on.
        assert answers.height - shadows.height <= 4 * (epoch - 1)
        assert log.accounts == (0, 0)
