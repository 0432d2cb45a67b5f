"""A request's body, no larger than allowed."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from understudy.gateway.errors import RequestRefused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# A client that sends on while it is refused sees a broken pipe, not the answer: a little more is read and dropped.
READ_ON = 8
# What arrives in one piece is not counted: as many of these as there are connections fit into any machine.
SMALL = 64 << 10


class Disconnected(Exception):
    """The caller went away."""


class BodyReader:
    """Read bodies, each no larger than allowed, and all together no more than the gateway has memory for."""

    def __init__(self, limit: int, most_at_once: int) -> None:
        self._limit, self._most = limit, most_at_once
        self._held = 0

    async def read(self, announced: bytes | str | None, receive: Receive) -> bytes:
        """Read a body whose Content-Length was announced, if it was; release it when it was answered.

        Raise RequestRefused with 413 or 503, or Disconnected.
        """
        if announced is not None and announced.isdigit() and int(announced) > self._limit * READ_ON:
            raise self._too_large()
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False) and len(body) <= min(self._limit, SMALL):
            return body
        return await self._read_on(message, receive)

    def release(self, body: bytes) -> None:
        """Count a body no longer."""
        if len(body) > SMALL:
            self._held -= len(body)

    async def _read_on(self, message: Message, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = held = 0
        try:
            while True:
                if message["type"] != "http.request":
                    raise Disconnected
                part: bytes = message.get("body", b"")
                size += len(part)
                if size > self._limit:
                    self._held, held = self._held - held, 0
                    parts.clear()
                elif self._held + len(part) > self._most:
                    raise RequestRefused(503, "The gateway holds as many large requests as it can. Try again shortly.")
                else:
                    self._held, held = self._held + len(part), held + len(part)
                    parts.append(part)
                if not message.get("more_body", False) or size > self._limit * READ_ON:
                    break
                message = await receive()
            if size > self._limit:
                raise self._too_large()
            if size > SMALL:
                held = 0
            return b"".join(parts)
        finally:
            self._held -= held

    def _too_large(self) -> RequestRefused:
        sentence = f"The request is larger than {self._limit:,} bytes. Send fewer rows at a time, or raise the limit."
        return RequestRefused(413, sentence)
