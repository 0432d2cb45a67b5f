"""Cut a stage's output into lines with levels, while it is being written."""

import logging
import struct
from collections.abc import Callable, Iterator

from understudy.contract.entry_point import unmark
from understudy.runners.protocol import LogLine

STDOUT, STDERR = 1, 2
LEVEL_OF = {STDOUT: logging.INFO, STDERR: logging.WARNING}
LINE_LIMIT_BYTES = 16_384
FRAME_LIMIT_BYTES = 16 << 20
HEADER = struct.Struct(">BxxxL")  # Docker's framing of two streams in one; the process runner's log files use it, too


def frame(stream: int, payload: bytes) -> bytes:
    """Wrap some output of one stream."""
    return HEADER.pack(stream, len(payload)) + payload


def frames(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """Unwrap (stream, output) pairs until the source ends or breaks off."""
    while len(header := read(HEADER.size)) == HEADER.size:
        stream, size = HEADER.unpack(header)
        if size > FRAME_LIMIT_BYTES:
            return
        yield stream, read(size)


def lines(chunks: Iterator[tuple[int, bytes]]) -> Iterator[LogLine]:
    r"""Yield each line as soon as it ends, by ``\n`` or, as progress bars do, by ``\r``."""
    pending = {STDOUT: b"", STDERR: b""}
    for stream, chunk in chunks:
        if stream not in pending:
            continue
        text = (pending[stream] + chunk).replace(b"\r", b"\n")
        *whole, pending[stream] = text.split(b"\n")
        if len(pending[stream]) > LINE_LIMIT_BYTES:
            whole.append(pending[stream])
            pending[stream] = b""
        yield from (_line(stream, raw) for raw in whole if raw)
    yield from (_line(stream, raw) for stream, raw in pending.items() if raw)


def _line(stream: int, raw: bytes) -> LogLine:
    text = raw[:LINE_LIMIT_BYTES].decode("utf-8", errors="replace")
    level, text = unmark(text, LEVEL_OF[stream])
    return LogLine(level=level, text=text)
