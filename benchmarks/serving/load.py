"""Send requests over keep-alive connections and time every answer. Run as a program: a client of its own process.

``python serving/load.py PLAN PAYLOAD`` prints one JSON object. Without a rate the loop is closed: each connection
sends its next request when it has its answer. With a rate (requests per second over all connections) it is open, and a
latency counts from the moment at which the request should have been sent, so that a server that stalls is not spared
the requests that it kept from being sent.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HEAD_END = b"\r\n\r\n"
GIVE_UP_S = 30.0


class Plan(NamedTuple):
    """Say what to send where."""

    port: int
    path: str
    connections: int
    seconds: float
    rate: float | None = None
    host: str = "127.0.0.1"


class Load(NamedTuple):
    """Summarise what a client saw; latencies in milliseconds."""

    requests: int
    errors: int
    seconds: float
    p50_ms: float
    p99_ms: float
    slowest_ms: float
    versions: dict[str, int]

    @property
    def rate(self) -> float:
        """Give the answers per second."""
        return self.requests / self.seconds


class _Tally:
    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors = 0
        self.versions: dict[str, int] = {}

    def note(self, began: float, head: bytes) -> None:
        self.latencies.append(time.perf_counter() - began)
        if head[9:12] != b"200":
            self.errors += 1
        version = _header(head, b"x-understudy-version")
        if version:
            self.versions[version] = self.versions.get(version, 0) + 1


def _header(head: bytes, name: bytes) -> str:
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return ""
    return head[at + len(name) + 3 : head.find(b"\r\n", at + 2)].strip().decode()


class Connection:
    """Speak HTTP/1.1 over one connection, which is opened again after an error."""

    def __init__(self, host: str, port: int, request: bytes, tally: _Tally) -> None:
        self.host, self.port, self.request, self.tally = host, port, request, tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, began: float) -> None:
        """Send the request and take the answer."""
        try:
            head = await asyncio.wait_for(self._ask(), GIVE_UP_S)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            self._streams = None
            self.tally.errors += 1
            self.tally.latencies.append(time.perf_counter() - began)
            return
        self.tally.note(began, head)

    async def _ask(self) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        writer.write(self.request)
        head = await reader.readuntil(HEAD_END)
        await reader.readexactly(int(_header(head, b"content-length")))
        return head


async def closed(connections: list[Connection], until: float) -> None:
    """Let each connection ask again as soon as it has its answer."""

    async def one(connection: Connection) -> None:
        while time.perf_counter() < until:
            await connection.ask(time.perf_counter())

    await asyncio.gather(*map(one, connections))


async def opened(connections: list[Connection], until: float, rate: float) -> None:
    """Send at a fixed rate, whatever the server does."""
    begun = time.perf_counter()

    async def one(number: int, connection: Connection) -> None:
        step = 0
        while (due := begun + (step * len(connections) + number) / rate) < until:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await connection.ask(due)
            step += 1

    await asyncio.gather(*(one(number, connection) for number, connection in enumerate(connections)))


def request_of(path: str, payload: bytes) -> bytes:
    """Write a scoring request."""
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return ("\r\n".join([*lines, f"Content-Length: {len(payload)}"]) + "\r\n\r\n").encode() + payload


async def run(plan: Plan, payload: bytes) -> Load:
    """Run the load and summarise it."""
    tally = _Tally()
    request = request_of(plan.path, payload)
    connections = [Connection(plan.host, plan.port, request, tally) for _ in range(plan.connections)]
    await asyncio.gather(*(connection.ask(time.perf_counter()) for connection in connections))  # connects and warms up
    tally.latencies.clear()
    tally.versions.clear()
    tally.errors = 0
    begun = time.perf_counter()
    until = begun + plan.seconds
    await (closed(connections, until) if plan.rate is None else opened(connections, until, plan.rate))
    ordered = sorted(1000 * latency for latency in tally.latencies)
    last = len(ordered) - 1
    return Load(
        len(ordered),
        tally.errors,
        time.perf_counter() - begun,
        ordered[last // 2],
        ordered[round(last * 0.99)],
        ordered[last],
        tally.versions,
    )


class Client:
    """Run a load in a process of its own, so that it shares no interpreter with what it measures."""

    def __init__(self, plan: Plan, payload: bytes) -> None:
        with tempfile.NamedTemporaryFile(suffix=".json", delete=False) as file:
            file.write(payload)
        self._payload = Path(file.name)
        command = [sys.executable, __file__, json.dumps(plan._asdict()), file.name]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def result(self) -> Load:
        """Wait for the end of the load."""
        said, _ = self._process.communicate()
        self._payload.unlink()
        return Load(**json.loads(said))


if __name__ == "__main__":
    measured = asyncio.run(run(Plan(**json.loads(sys.argv[1])), Path(sys.argv[2]).read_bytes()))
    sys.stdout.write(json.dumps(measured._asdict()))
