"""A fixed number of requests over a few kept connections, each counted: cheap enough for ten thousand in a test."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

END = b"\r\n\r\n"
PATIENCE_S = 300.0


class Answer(NamedTuple):
    """When it was asked, with which status and by which version it was answered; status 0 for none."""

    asked: float
    status: int
    version: int


class Flood(threading.Thread):
    """Send ``count`` requests to each of some URLs in turn, over ``connections`` connections to each."""

    def __init__(self, urls: Sequence[str], body: bytes, count: int, connections: int = 4) -> None:
        super().__init__(daemon=True)
        self.answers: list[Answer] = []
        self._urls, self._body, self._count, self._connections = urls, body, count, connections

    def run(self) -> None:
        asyncio.run(self._all())

    def wait_for(self, count: int) -> None:
        """Wait until so many were answered."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.answers) < count:
            assert self.is_alive() or len(self.answers) >= count
            assert time.monotonic() < deadline
            time.sleep(0.01)

    async def _all(self) -> None:
        share, rest = divmod(self._count, len(self._urls) * self._connections)
        assert not rest, "the connections cannot share the requests evenly"
        await asyncio.gather(*(self._some(url, share) for url in self._urls for _ in range(self._connections)))

    async def _some(self, url: str, count: int) -> None:
        at = urlsplit(url)
        head = f"POST {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(self._body)}\r\n\r\n".encode() + self._body
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        for _ in range(count):
            asked = time.monotonic()
            writer.write(request)
            try:
                told = (await asyncio.wait_for(reader.readuntil(END), PATIENCE_S)).lower()
                await reader.readexactly(int(_header(told, b"content-length")))
            except (OSError, EOFError, ValueError, asyncio.TimeoutError):
                self.answers.append(Answer(asked, 0, 0))
                reader, writer = await asyncio.open_connection(at.hostname, at.port)
                continue
            self.answers.append(Answer(asked, int(told[9:12]), int(_header(told, b"x-understudy-version") or 0)))
        writer.close()


def _header(told: bytes, name: bytes) -> bytes:
    _, found, rest = told.partition(b"\r\n" + name + b": ")
    return rest.partition(b"\r\n")[0] if found else b""
