"""An engine that has a few containers, does what it is told, and remembers the words; and the proxy before it."""

import asyncio
import io
import json
import socket
import socketserver
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from understudy.engine_proxy.decide import Desk
from understudy.engine_proxy.description import STACK_LABEL
from understudy.engine_proxy.engine import Engine
from understudy.engine_proxy.serve import EngineProxy
from understudy.engine_proxy.vet import Allowance
from understudy.gateway.container_engine import SCORING_LABEL
from understudy.gateway.frames import PROTOCOL
from understudy.runners.container import ENTRY_LABEL

STACK = "0a1b2c"
ALLOWANCE = Allowance(stack=STACK)
OURS, THEIRS, STARTED, FULL = "a" * 64, "b" * 64, "c" * 64, "d" * 64
NAMES = {OURS: "understudy-ours", THEIRS: "postgres", STARTED: "understudy-started", FULL: "understudy-full"}
CREATED = {"Status": "created", "ExitCode": 0, "OOMKilled": False, "StartedAt": "0001-01-01T00:00:00Z"}
RUNNING = {**CREATED, "Status": "running"}
STAGE_IMAGE, OTHER_IMAGE = "understudy-stage:1", "postgres:15"


class Told(NamedTuple):
    """A request as it reached the engine."""

    line: str
    body: bytes


class FakeEngine(socketserver.ThreadingUnixStreamServer):
    """Hold containers, images and everything that was said."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.told: list[Told] = []
        self.containers: dict[str, Any] = {
            OURS: {"Id": OURS, "State": CREATED, "Config": {"Labels": {STACK_LABEL: STACK}}},
            STARTED: {"Id": STARTED, "State": RUNNING, "Config": {"Labels": {STACK_LABEL: STACK}}},
            FULL: {"Id": FULL, "State": CREATED, "Config": {"Labels": {STACK_LABEL: STACK}}},
            THEIRS: {"Id": THEIRS, "State": RUNNING, "Config": {"Labels": {STACK_LABEL: "another"}}},
        }
        self.images: dict[str, Any] = {
            STAGE_IMAGE: {"Id": "sha256:1", "Config": {"Env": ["A=b"], "Labels": {ENTRY_LABEL: "1"}}},
            "sha256:abc": {"Id": "sha256:abc", "Config": {"Labels": {SCORING_LABEL: str(PROTOCOL)}}},
            OTHER_IMAGE: {"Id": "sha256:2", "Config": {"Env": ["TOKEN=x"], "Labels": {"maintainer": "somebody"}}},
        }
        self.attached = threading.Event()
        self.input_ended = threading.Event()
        self.log_abandoned = threading.Event()
        super().__init__(str(path), _Handler)

    @property
    def acts(self) -> list[str]:
        """Give what was asked beside looking."""
        return [told.line for told in self.told if not told.line.endswith("/json")]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeEngine
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._note(b"")
        path = urlsplit(self.path).path
        _, _, *parts = path.split("/")
        if path.endswith("version"):
            self._answer(200, {"ApiVersion": "1.41", "Version": "fake"})
        elif parts == ["containers", "json"]:
            self._answer(200, [])
        elif parts[0] == "images":
            found = self.server.images.get("/".join(parts[1:-1]))
            self._answer(200 if found else 404, found or {"message": "No such image: it"})
        elif container := self._container(parts[1]):
            {"json": self._inspect, "logs": self._logs, "stats": self._stats, "archive": self._archive}[parts[2]](
                container
            )
        else:
            self._answer(404, {"message": "No such container: it"})

    def do_POST(self) -> None:
        self._note(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        path = urlsplit(self.path).path
        if path.endswith("/create"):
            labels = json.loads(self.server.told[-1].body)["Labels"]
            made = {"Id": "e" * 64, "State": CREATED, "Config": {"Labels": labels}}
            self.server.containers["e" * 64] = made
            self._answer(201, {"Id": "e" * 64})
        elif path.endswith("/attach"):
            self._attach(path.split("/")[3])
        else:
            self._answer(204, None)

    def do_PUT(self) -> None:
        if FULL in self.path:
            self._answer(500, {"message": "no space left on device"})
            self.connection.shutdown(
                socket.SHUT_WR
            )  # as Go does, so that the answer is read before the connection breaks
            time.sleep(0.5)
            self.close_connection = True
            return
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self._note(body)
        self._answer(200, None)

    def do_DELETE(self) -> None:
        self._note(b"")
        self.server.containers.pop(urlsplit(self.path).path.split("/")[3], None)
        self._answer(204, None)

    def _container(self, name: str) -> dict[str, Any] | None:
        by_name = {NAMES.get(container, "understudy-new"): container for container in self.server.containers}
        return self.server.containers.get(by_name.get(name, name))

    def _inspect(self, container: dict[str, Any]) -> None:
        self._answer(200, container)

    def _stats(self, _: dict[str, Any]) -> None:
        self._answer(200, {"memory_stats": {"stats": {"rss": 12}}})

    def _archive(self, _: dict[str, Any]) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo("answer/return.json")
            entry.size = 2
            archive.addfile(entry, io.BytesIO(b"{}"))
        self._send(200, packed.getvalue())

    def _logs(self, _: dict[str, Any]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        line = b"said\n"
        try:
            self.wfile.write(bytes([1, 0, 0, 0]) + len(line).to_bytes(4, "big") + line)
            if parse_qs(urlsplit(self.path).query)["follow"] == ["1"]:
                self.connection.recv(1)
        finally:
            self.server.log_abandoned.set()

    def _attach(self, container: str) -> None:
        if container == FULL:  # an answer that keeps the connection for HTTP
            self._answer(409, {"message": "it is full"})
            return
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        self.server.attached.set()
        while heard := self.connection.recv(1024):
            self.wfile.write(heard.upper())
        self.server.input_ended.set()
        self.wfile.write(b" bye")

    def _note(self, body: bytes) -> None:
        self.server.told.append(Told(f"{self.command} {self.path}", body))

    def _answer(self, status: int, what: Any) -> None:
        self._send(status, b"" if what is None else json.dumps(what).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        if self.headers.get("Connection") == "close":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def fake_engine(folder: Path) -> Iterator[FakeEngine]:
    """Run an engine."""
    with FakeEngine(folder / "engine.sock") as engine:
        threading.Thread(target=engine.serve_forever, args=(0.01,), daemon=True).start()
        yield engine
        engine.shutdown()


@contextmanager
def proxy(socket_path: Path, allowance: Allowance = ALLOWANCE) -> Iterator[int]:
    """Run the proxy in a thread of its own and give its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(
        EngineProxy(Desk(Engine(socket_path), allowance)).listen("127.0.0.1", 0), loop
    ).result()

    async def stop() -> None:
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # what is closed is closed in the loop's next turn

    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def say(port: int, request: bytes) -> tuple[int, str]:
    """Send bytes and give the status and the message of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(request)
        heard = b""
        while chunk := client.recv(65536):
            heard += chunk
    head, _, body = heard.partition(b"\r\n\r\n")
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    return int(head.split()[1]), str(told.get("message", "")) if isinstance(told, dict) else ""


def written(method: str, path: str, body: bytes | str | None = None, *headers: str) -> bytes:
    """Write a request as a client would that does not care for manners."""
    sent = body.encode() if isinstance(body, str) else body
    length = () if sent is None else (f"Content-Length: {len(sent)}",)
    head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: docker", *length, *headers))
    return head.encode() + b"\r\n\r\n" + (sent or b"")
