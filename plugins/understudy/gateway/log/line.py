"""One line of a segment: a flat JSON object that says by its own length and checksum whether it is whole."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

SCHEMA = 1
HEAD = re.compile(rb'\{"crc":"([0-9a-f]{8})","len":(\d{1,10}),')


def seal(payload: bytes) -> bytes:
    """Make a line of a JSON object's bytes, which hold no line break."""
    rest = payload[1:]
    return b'{"crc":"%08x","len":%d,%b\n' % (zlib.crc32(rest), len(rest), rest)


class Lines:
    """Read a segment's lines, also while it is written; what is damaged is skipped and counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = 0
        """Lines that are not what was written."""
        self.torn = 0
        """Whether the last line has no end: it is being written, or the writer died in it."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Give each whole line's facts; raise FileNotFoundError once the segment was compacted or deleted."""
        with self._path.open("rb") as segment:
            for line in segment:
                if not line.endswith(b"\n"):
                    self.torn += 1
                    return
                facts = _facts(line)
                if facts is None:
                    self.damaged += 1
                else:
                    yield facts


def _facts(line: bytes) -> dict[str, Any] | None:
    head = HEAD.match(line)
    if head is None:
        return None
    rest = line[head.end() : -1]
    if len(rest) != int(head[2]) or zlib.crc32(rest) != int(head[1], 16):
        return None
    try:
        facts = orjson.loads(b"{" + rest)
    except orjson.JSONDecodeError:
        return None
    return facts if isinstance(facts, dict) else None
