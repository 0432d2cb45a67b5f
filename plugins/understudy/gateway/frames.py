"""The frames between the gateway and a scoring process: a length, a JSON header with its own length, and bodies."""

import asyncio
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

import orjson

from understudy.contract.errors import UnderstudyError
from understudy.gateway.exchange import Answer, Item, Wire

LENGTH = struct.Struct(">I")
LIMIT_BYTES = 256 << 20
STATUSES = range(200, 600)
PROTOCOL = 1
"""What is spoken here; the label of an image says what its scoring code speaks. It changes only where an older image
and a gateway would misunderstand each other, which a field more is not: each change costs versions to go back to."""
ENDED = "it ended"


class FrameBroken(UnderstudyError):
    """The other side sent what is no frame."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"A frame between the gateway and a scoring process is broken: {problem}. Start it again.")


class Frame(NamedTuple):
    """Hold a frame that has arrived whole."""

    header: dict[str, Any]
    bodies: bytes


def pack(header: dict[str, Any], bodies: Sequence[bytes] = ()) -> bytes:
    """Write a frame.

    :raises FrameBroken: where it would be longer than the other side reads.
    """
    head = orjson.dumps(header)
    size = LENGTH.size + len(head) + sum(map(len, bodies))
    if size > LIMIT_BYTES:
        raise FrameBroken(f"{size:,} bytes are more than the limit of {LIMIT_BYTES:,}")
    return b"".join([LENGTH.pack(size), LENGTH.pack(len(head)), head, *bodies])


def unpack(payload: bytes) -> Frame:
    """Read what follows a frame's length.

    :raises FrameBroken: where it does not hold what it says.
    """
    try:
        (size,) = LENGTH.unpack_from(payload)
        header = orjson.loads(payload[LENGTH.size : LENGTH.size + size])
    except (struct.error, orjson.JSONDecodeError) as broken:
        raise FrameBroken("its header cannot be read") from broken
    if not isinstance(header, dict):
        raise FrameBroken("its header is not a record")
    return Frame(header, payload[LENGTH.size + size :])


class FrameBuffer:
    """Cut a stream into frames, however it arrives."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Add what arrived and give the frames that are whole now.

        :raises FrameBroken: for a length beyond the limit, and for a frame that cannot be read.
        """
        self._pending += data
        found = []
        while len(self._pending) >= LENGTH.size:
            end = LENGTH.size + _length(self._pending)
            if len(self._pending) < end:
                break
            found.append(unpack(bytes(memoryview(self._pending)[LENGTH.size : end])))
            del self._pending[:end]
        return found


def _length(start: bytes | bytearray) -> int:
    (size,) = LENGTH.unpack_from(start)
    if size > LIMIT_BYTES:
        raise FrameBroken(f"it announces {size:,} bytes, and the limit is {LIMIT_BYTES:,}")
    return int(size)


class Source(Protocol):
    """Be read from, and wait until there is something."""

    def recv(self, size: int, /) -> bytes:
        """Read some bytes; none at the end."""
        ...


def receive(sock: Source) -> Frame | None:
    """Wait for the next frame; None where the other side is gone.

    :raises FrameBroken: where it cannot be read.
    """
    start = _exactly(sock, LENGTH.size)
    payload = None if start is None else _exactly(sock, _length(start))
    return None if payload is None else unpack(payload)


def _exactly(sock: Source, size: int) -> bytes | None:
    pieces = bytearray()
    while len(pieces) < size:
        piece = sock.recv(min(size - len(pieces), 1 << 20))
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)


class FrameChannel(asyncio.Protocol):
    """Exchange frames on an event loop; at most one task waits for the next."""

    def __init__(self) -> None:
        self.problem: str | None = None
        """Why nothing more will arrive; None as long as something may."""
        self._transport: asyncio.Transport | None = None
        self._buffer = FrameBuffer()
        self._arrived: deque[Frame] = deque()
        self._waiting: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand over the frames that are whole; end where what arrives is none."""
        try:
            self._arrived.extend(self._buffer.feed(data))
        except FrameBroken as broken:
            self._end(str(broken))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to the task that waits."""
        self._end(ENDED if exc is None else f"its connection broke ({type(exc).__name__})")
        self._wake()

    def send(self, frame: bytes) -> None:
        """Send a frame, unless the other side is gone."""
        if self._transport is not None and self.problem is None:
            self._transport.write(frame)

    async def next(self) -> Frame | None:
        """Wait for the next frame; None where there will be none."""
        while not self._arrived and self.problem is None:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return self._arrived.popleft() if self._arrived else None

    def close(self) -> None:
        """Send and receive nothing more."""
        self._end("it was stopped")
        self._wake()

    def _end(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def pack_items(seq: int, items: Sequence[Item]) -> bytes:
    """Write requests; ``seq`` comes back with their answers."""
    header = {"kind": "score", "seq": seq, "items": [[int(item.wire), len(item.body)] for item in items]}
    return pack(header, [item.body for item in items])


def read_items(frame: Frame) -> list[Item]:
    """Read what :func:`pack_items` wrote."""
    items, start = [], 0
    for wire, size in frame.header["items"]:
        items.append(Item(Wire(wire), frame.bodies[start : start + size]))
        start += size
    return items


def pack_answers(seq: int, answers: Sequence[Answer]) -> bytes:
    """Write the answers to a frame of requests, in their order."""
    listing = [[a.status, len(a.body), a.rows, len(a.output), a.score_us, a.batch, a.error] for a in answers]
    return pack(
        {"kind": "answers", "seq": seq, "answers": listing}, [part for a in answers for part in (a.body, a.output)]
    )


def read_answers(frame: Frame, expected: int) -> list[Answer]:
    """Read what :func:`pack_answers` wrote, and believe none of it: a model's code may have written it.

    :raises FrameBroken: where it is not one well-formed answer for each request.
    """
    listing = frame.header.get("answers")
    if not isinstance(listing, list) or len(listing) != expected:
        raise FrameBroken("it does not answer each request")
    answers, start = [], 0
    for row in listing:
        match row:
            case [int(status), int(size), int(rows), int(logged), int(score_us), int(batch), str() | None as error] if (
                min(size, rows, logged, score_us, batch) >= 0
                and status in STATUSES
                and start + size + logged <= len(frame.bodies)
            ):
                middle, end = start + size, start + size + logged
                body, output = frame.bodies[start:middle], frame.bodies[middle:end]
                answers.append(Answer(status, body, rows, output, score_us, batch, error))
                start = end
            case _:
                raise FrameBroken("an answer in it has no such form")
    return answers
