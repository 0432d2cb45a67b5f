"""Speak with the engine over its socket: one connection for each thing that it is asked."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

import httptools

from understudy.engine_proxy.refusals import NoEngine, TooLarge

ANSWER_LIMIT = 4 << 20
READ = 256 << 10


class Connection(NamedTuple):
    """Hold a connection to the engine."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self) -> None:
        """Close it, whatever it was at."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


class Answer(NamedTuple):
    """Hold an answer whole."""

    status: int
    body: bytes


class Engine:
    """Ask one engine.

    :param socket: where it listens.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def open(self, head: bytes) -> Connection:
        """Send the head of a request.

        :raises NoEngine: where nothing listens, or not to us.
        """
        try:
            connection = Connection(*await asyncio.open_unix_connection(self._socket, limit=READ))
        except OSError as unreachable:
            raise NoEngine(unreachable.strerror or str(unreachable)) from unreachable
        connection.writer.write(head)
        return connection

    async def ask(self, path: str) -> Answer:
        """Ask for something small and read the answer to its end."""
        connection = await self.open(head("GET", path))
        try:
            return await read_answer(connection.reader)
        except (httptools.HttpParserError, OSError) as broken:
            raise NoEngine(str(broken) or type(broken).__name__) from broken
        finally:
            await connection.close()


def head(method: str, path: str, query: Mapping[str, str] | None = None, *more: str) -> bytes:
    """Write the head of a request in words of ours alone."""
    target = quote(path, safe="/:") + (f"?{urlencode(query)}" if query else "")
    wanted = more or ("Connection: close",)
    lines = (f"{method} {target} HTTP/1.1", "Host: docker", "User-Agent: understudy", *wanted)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def read_answer(reader: asyncio.StreamReader, begun: bytes = b"") -> Answer:
    """Read an answer to its end.

    :param begun: what has been read of it already.
    """
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    data = begun or await reader.read(READ)
    while data:
        parser.feed_data(data)
        if len(answer.body) > ANSWER_LIMIT:
            raise TooLarge("an answer", ANSWER_LIMIT)
        if answer.is_whole:
            break
        data = await reader.read(READ)
    if not answer.is_begun:
        raise ConnectionResetError("it hung up")
    return Answer(parser.get_status_code() or HTTPStatus.BAD_GATEWAY, bytes(answer.body))


class _Answer:
    def __init__(self) -> None:
        self.body, self.is_begun, self.is_whole = bytearray(), False, False

    def on_headers_complete(self) -> None:
        self.is_begun = True

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.is_whole = True
