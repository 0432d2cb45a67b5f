"""What becomes of a connection: attached, followed, cut off, too many of them, and without an engine."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest

from tests.unit.engine_proxy.fake_engine import (
    ALLOWANCE,
    FULL,
    OURS,
    STARTED,
    THEIRS,
    FakeEngine,
    proxy,
    say,
    written,
)
from tests.unit.engine_proxy.sent import job, runner_at
from understudy.engine_proxy import serve as serving
from understudy.engine_proxy.decide import Desk
from understudy.engine_proxy.engine import Engine
from understudy.runners.errors import (
    EngineUnreachable,
    NoEngineBehindProxy,
)


def test_what_a_client_says_before_the_engine_has_attached_is_not_lost(port: int) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: tcp")
    attach = written("POST", f"/v1.41/containers/{OURS}/attach?stdin=1&stdout=1&stream=1", "", *upgrade)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(attach + b"early")
        client.shutdown(socket.SHUT_WR)
        heard = b""
        while chunk := client.recv(65536):
            heard += chunk
    assert heard.startswith(b"HTTP/1.1 101 ")
    assert heard.endswith(b"\r\n\r\nEARLY bye")


def test_where_the_engine_does_not_attach_it_hears_nothing_more(port: int, engine: FakeEngine) -> None:
    bad = written("DELETE", f"/v1.41/containers/{THEIRS}?force=1")
    attach = written(
        "POST", f"/v1.41/containers/{FULL}/attach?stdin=1&stream=1", "", "Connection: Upgrade", "Upgrade: tcp"
    )
    assert say(port, attach + bad) == (409, "it is full")
    assert [told.line.split()[0] for told in engine.told] == ["GET", "POST"]
    assert THEIRS in engine.containers


def test_attaching_without_the_words_for_it_is_refused(port: int, engine: FakeEngine) -> None:
    assert say(port, written("POST", f"/v1.41/containers/{OURS}/attach?stdin=1&stream=1", ""))[0] == 400
    assert engine.told == []


def test_files_whose_framing_breaks_on_the_way_are_no_files(port: int, engine: FakeEngine) -> None:
    head = f"PUT /v1.41/containers/{OURS}/archive?path=/understudy HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, message = say(port, head.encode() + b"3\r\ntar\r\nno length\r\n")
    assert (status, "docker-proxy cannot read the request" in message) == (400, True)
    assert not [line for line in engine.acts if line.startswith("PUT")]


def test_what_the_engine_says_in_the_middle_of_an_upload_is_heard(port: int) -> None:
    head = f"PUT /v1.41/containers/{FULL}/archive?path=/understudy HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (1 << 20, bytes(1 << 20))
    assert say(port, head.encode() + chunk * 30 + b"0\r\n\r\n") == (500, "no space left on device")


def test_a_log_is_not_followed_for_a_client_that_has_gone(port: int, engine: FakeEngine) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(written("GET", f"/v1.41/containers/{STARTED}/logs?follow=1&stdout=1&stderr=1"))
        heard = b""
        while b"said" not in heard:
            heard += client.recv(100)
        assert not engine.log_abandoned.is_set()
    assert engine.log_abandoned.wait(20)


def test_a_client_that_says_nothing_is_sent_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "DECIDED_WITHIN_S", 0.05)
    status, message = say(port, b"GET /_ping HTTP/1.1\r\n")
    assert (status, "waited 0.05 s" in message) == (408, True)


def test_no_more_connections_are_served_than_there_is_room_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_served() -> bool:
        status, _ = say(port, written("GET", "/version"))
        assert status in {200, 503}
        return status == 200

    monkeypatch.setattr(serving, "CONNECTIONS", 1)
    assert is_served()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as another:
        another.sendall(written("GET", f"/v1.41/containers/{STARTED}/logs?follow=1&stdout=1&stderr=1"))
        assert another.recv(100)
        assert not is_served()
    deadline = time.monotonic() + 20
    while not is_served():
        assert time.monotonic() < deadline, "the one that has ended makes room"


def test_a_signal_ends_it_and_frees_its_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def until_a_signal() -> tuple[str, int]:
        running = asyncio.ensure_future(serving.serve(Desk(Engine(tmp_path / "no.sock"), ALLOWANCE), "127.0.0.1", 0))
        while not caplog.records:
            await asyncio.sleep(0.01)
        host, port = cast("tuple[str, int]", caplog.records[0].args)
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        await writer.wait_closed()
        assert not running.done()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, 20)
        return host, port

    address = asyncio.run(until_a_signal())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=20)


def test_without_an_engine_the_answer_says_so(tmp_path: Path) -> None:
    with proxy(tmp_path / "nowhere.sock") as port:
        status, message = say(port, written("GET", "/version"))
        assert (status, "does not reach the Docker engine (No such file or directory)" in message) == (502, True)
        runner = runner_at(port, tmp_path)
        with pytest.raises(NoEngineBehindProxy) as told:
            runner.submit(job(tmp_path), {})
    assert isinstance(told.value, EngineUnreachable)
    assert str(told.value) == (
        "No Docker engine answers behind the proxy: docker-proxy does not reach the Docker engine (No such file or "
        "directory). Start it; if it runs, STACK_DOCKER_GID in .env has to be the group of its socket, and `docker "
        "compose up --detach docker-proxy` takes it over."
    )


def test_an_engine_that_goes_while_a_stage_runs_is_told_as_one_that_does_not_answer(
    engine: FakeEngine, tmp_path: Path
) -> None:
    with proxy(Path(str(engine.server_address))) as port:
        runner = runner_at(port, tmp_path)
        job_id = runner.submit(job(tmp_path), {})
        Path(str(engine.server_address)).unlink()
        with pytest.raises(NoEngineBehindProxy, match="docker-proxy does not reach the Docker engine"):
            runner.status(job_id)


def test_a_proxy_that_is_down_is_told_with_its_address(tmp_path: Path) -> None:
    with proxy(tmp_path / "nowhere.sock") as port:
        pass
    refused = (
        rf"^No Docker engine answers at 127.0.0.1:{port} \(\[Errno \d+\] Connection refused\)\. Start it, or the pro"
    )
    with pytest.raises(EngineUnreachable, match=refused):
        runner_at(port, tmp_path).submit(job(tmp_path), {})


def test_a_proxy_that_is_stopped_has_nothing_to_say_of_who_was_connected(tmp_path: Path) -> None:
    told = ["--port=0", "--stack=x", f"--socket={tmp_path / 'nowhere.sock'}"]
    command = [sys.executable, "-m", "understudy.engine_proxy", *told]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        where = "127.0.0.1", int(running.stdout.readline().rpartition(":")[2])
        with socket.create_connection(where, timeout=30) as waiting:
            waiting.sendall(b"GET /ver")
            # They are taken up in their order: who gets an answer came after somebody who waits for one.
            assert say(where[1], written("GET", "/version"))[0] == 502
            running.send_signal(signal.SIGTERM)
            assert waiting.recv(1) == b""
        said = running.stdout.read()
        assert (running.wait(30), "Traceback" in said) == (0, False), said
