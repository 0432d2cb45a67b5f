"""A whole gateway: its real process, real scoring processes, real HTTP over loopback."""

import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    Traffic,
    connect,
    read_all,
    running,
    until,
)
from understudy.contract.release import Bundle
from understudy.contract.serving import PrepareOrder, RehearsalQuery, ServingOrder
from understudy.contract.words import Change, Role
from understudy.hooks.places.gateway_errors import FilesMissingAtGateway, GatewayIsAhead, GatewayRefused


def test_a_version_is_served_in_each_protocol_once_its_files_have_arrived(
    served_home: Path, trained: dict[int, tuple[Path, Bundle]], order: Callable[..., ServingOrder]
) -> None:
    shutil.rmtree(served_home / "bundles")
    with running(served_home) as gateway:
        with pytest.raises(FilesMissingAtGateway):
            gateway.serve(order(1, 1))
        gateway.client.upload(trained[1][1], trained[1][0])
        gateway.serve(order(1, 1))
        predicted = gateway.score().json()["predictions"]
        base = f"{gateway.url}/models/{MODEL}/invocations"
        csv = httpx.post(base, content=b"a,b,c\n1.0,2.0,3.0\n", headers={"content-type": "text/csv"})
        assert (csv.status_code, csv.json()["predictions"]) == (200, predicted)
        tensors = [
            {"name": n, "shape": [1], "datatype": "FP64", "data": [v]} for n, v in zip("abc", (1, 2, 3), strict=True)
        ]
        v2 = httpx.post(f"{gateway.url}/v2/models/{MODEL}/infer", json={"inputs": tensors})
        assert (v2.status_code, v2.json()["outputs"][0]["data"]) == (200, predicted)
        bad = httpx.post(base, content=b"{", headers={"content-type": "application/json"})
        assert (bad.status_code, set(bad.json())) == (400, {"error_code", "message"})


def test_flips_under_load_lose_nothing_and_no_old_answer_follows_an_acknowledgement(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        gateway.client.prepare(PrepareOrder(bundle=order(1, 2).record.champion, terms=order(1, 2).terms), PATIENCE_S)
        acknowledged = []
        with Traffic(gateway.url) as traffic:
            for epoch in range(2, 12):
                champion = 1 + epoch % 2
                gateway.serve(order(epoch, champion, previous=3 - champion, mirror=3 - champion))
                acknowledged.append((time.monotonic(), str(champion)))
                traffic.wait_for(20)
        assert {status for _, status, _, _ in traffic.answers} == {200}
        for (start, version), (end, _) in itertools.pairwise([*acknowledged, (float("inf"), "")]):
            # Those who asked after this order was acknowledged, long before the next one was sent.
            asked = [answer for answer in traffic.answers if start < answer[0] < end][:10]
            assert {answer[2] for answer in asked} == {version}
        with pytest.raises(GatewayIsAhead):
            gateway.serve(order(3, 1))


def test_a_killed_champion_costs_no_request(served_home: Path, order: Callable[..., ServingOrder]) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        gateway.serve(order(2, 2, previous=1))
        until(lambda: all(worker.is_ready for worker in gateway.status().workers))
        with Traffic(gateway.url) as traffic:
            traffic.wait_for(50)
            killed = gateway.pid_of(Role.CHAMPION)
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            until(lambda: gateway.pid_of(Role.CHAMPION) not in {None, killed})
            # A process that has begun is not ready yet, and until it is the standby answers.
            until(lambda: all(worker.is_ready for worker in gateway.status().workers))
            traffic.wait_for(50)
        assert {status for _, status, _, _ in traffic.answers} == {200}
        assert traffic.answers[-1][2:] == ("2", "champion")
        assert {answer[2] for answer in traffic.answers if answer[3] == "standby"} == {"1"}


def test_each_mirrored_request_is_paired(served_home: Path, order: Callable[..., ServingOrder]) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        gateway.serve(order(2, 1, mirror=2, change=Change.MIRROR_STARTED))
        since = datetime.now(timezone.utc) - timedelta(minutes=1)
        for _ in range(30):
            assert gateway.score().status_code == 200
        query = RehearsalQuery(champion_version=1, mirror_version=2, since=since, block_s=60)
        until(lambda: gateway.client.rehearsal(MODEL, query, PATIENCE_S).pairs == 30)
        report = gateway.client.rehearsal(MODEL, query, PATIENCE_S)
        assert (report.champion.requests, report.mirror.requests, report.unpaired) == (30, 30, {})
        gateway.serve(order(3, 1, change=Change.MIRROR_ENDED))
        until(lambda: len(gateway.status().workers) == 1)


def test_a_mirror_whose_process_is_stopped_costs_nobody_anything(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1, max_queue=5))
        gateway.serve(order(2, 1, mirror=2, change=Change.MIRROR_STARTED, max_queue=5))
        stopped = gateway.pid_of(Role.SHADOW)
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        assert {gateway.score().status_code for _ in range(30)} == {200}
        until(lambda: gateway.pid_of(Role.SHADOW) not in {None, stopped})
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.wait(PATIENCE_S)
        rows = gateway.log()
        shadows = rows.filter(rows["role"] == "shadow")
        assert shadows["request_id"].n_unique() == 30
        losses = set(shadows["loss"].drop_nulls())
        assert {"queue_full", "timeout"} <= losses <= {"queue_full", "timeout", "down"}


def test_files_that_were_tampered_with_are_never_served(served_home: Path, order: Callable[..., ServingOrder]) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        with next((served_home / "bundles" / MODEL / "2").rglob("*.skops")).open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(GatewayRefused):
            gateway.serve(order(2, 2, previous=1))
        assert gateway.score().headers["x-understudy-version"] == "1"


def test_a_gateway_that_was_killed_serves_its_last_record_again(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        gateway.serve(order(2, 2, previous=1))
        children = [worker.pid for worker in gateway.status().workers]
        gateway.process.kill()
        gateway.process.wait(PATIENCE_S)
    until(lambda: not any(pid and psutil.pid_exists(pid) for pid in children))
    with running(served_home) as gateway:
        until(lambda: gateway.role() is Role.CHAMPION)  # the one before answers while it is loaded
        answer = gateway.score()
        assert [answer.headers[f"x-understudy-{name}"] for name in ("version", "epoch")] == ["2", "2"]


def test_a_stop_in_order_answers_what_is_under_way_and_logs_everything(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        named = [gateway.score(**{"x-request-id": str(n)}).headers["x-understudy-request-id"] for n in range(50)]
        children = psutil.Process(gateway.process.pid).children(recursive=True)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(PATIENCE_S) == 0
        rows = gateway.log()
        assert set(rows["request_id"]) == set(named)
        until(lambda: not any(child.is_running() for child in children))


def test_what_an_earlier_gateway_logged_becomes_parquet_by_itself(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        named = {gateway.score().headers["x-understudy-request-id"] for _ in range(20)}
    log = served_home / "gateway" / "log" / MODEL
    assert not list(log.rglob("*.parquet"))
    with running(served_home, compact_s=0.2) as gateway:
        until(lambda: bool(list(log.rglob("*.parquet"))) and not list((log / "segments").glob("*/*.jsonl")))
        assert set(gateway.log()["request_id"]) == named


def test_an_answer_in_strict_mode_is_on_disk_before_it_is_sent(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1, strict_log=True))
        named = {gateway.score().headers["x-understudy-request-id"] for _ in range(20)}
        gateway.process.kill()
        gateway.process.wait(PATIENCE_S)
        assert named <= set(gateway.log()["request_id"])


def test_callers_who_dawdle_are_sent_away(served_home: Path, order: Callable[..., ServingOrder]) -> None:
    with running(served_home, header_timeout_s=0.5, body_timeout_s=0.5) as gateway:
        gateway.serve(order(1, 1))
        head = f"POST /models/{MODEL}/invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
        for sent in (b"", head, head + b"content-length: 100\r\n\r\n{"):
            with connect(gateway) as connection:
                connection.sendall(sent)
                assert read_all(connection).startswith(b"HTTP/1.1 408 ")
        with connect(gateway) as connection:
            connection.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 400 ")
        with connect(gateway) as connection:
            connection.sendall(head + b"x-long: " + b"x" * 66_000)
            assert read_all(connection)[:13] in {b"HTTP/1.1 431 ", b""}
        assert gateway.score().status_code == 200


def test_one_connection_too_many_is_told_to_come_again(served_home: Path, order: Callable[..., ServingOrder]) -> None:
    with running(served_home, max_connections=3, header_timeout_s=PATIENCE_S) as gateway:
        gateway.serve(order(1, 1))
        idle = [connect(gateway) for _ in range(3)]
        until(lambda: gateway.score().status_code == 503)
        refused = gateway.score()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        for connection in idle:
            connection.close()
        until(lambda: gateway.score().status_code == 200)


def test_a_body_that_is_too_large_is_refused_and_read_by_nobody(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home, max_body_bytes=1000) as gateway:
        gateway.serve(order(1, 1))
        url = f"{gateway.url}/models/{MODEL}/invocations"
        for size in (1_001, 8_000):
            answer = httpx.post(url, content=b"x" * size, headers={"content-type": "application/json"})
            assert (answer.status_code, set(answer.json())) == (413, {"error_code", "message"})
        with connect(gateway) as connection:
            head = f"POST /models/{MODEL}/invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            connection.sendall(head.encode() + b"content-length: 100000000\r\n\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 413 ")
        assert gateway.score().status_code == 200
