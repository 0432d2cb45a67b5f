"""Turn a file as it arrived into one that a reader understands: unpacked, UTF-8, and really data."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO

from understudy.stages.context import Refused

CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
# With the mark of its first block, or of its end: a line of text can begin with BZh, too.
BZIP2_MAGICS = tuple(b"BZh%d%b" % (level, mark) for level in range(1, 10) for mark in (b"1AY&SY", b"\x17rE8P\x90"))
UNREAD_MAGICS = {
    "bzip2": BZIP2_MAGICS,
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "xz": (b"\xfd7zXZ\x00",),
}
MAGIC_BYTES = max(len(magic) for magics in UNREAD_MAGICS.values() for magic in magics)
WORKBOOKS = (".xlsx", ".xlsm", ".ods")
HTML_STARTS = (b"<!doctype html", b"<html", b"<?xml", b"<head")


def unpack(path: Path, name: str, scratch: Path) -> Path:
    """Unpack a gzip file into ``scratch``; give any other file back as it is.

    :raises Refused: when the file is empty, its gzip stream is damaged, or it is compressed in another way.
    """
    if not _is_packed(path, name):
        return path
    unpacked = scratch / f"{path.name}.unpacked"
    try:
        with gzip.open(path, "rb") as packed, unpacked.open("wb") as plain:
            for chunk in _chunks(packed):
                plain.write(chunk)
    except (OSError, EOFError, zlib.error) as damaged:
        raise _damaged(name, damaged) from damaged
    if not unpacked.stat().st_size:
        raise _empty_inside(name)
    return unpacked


def first_text(path: Path, name: str, encoding: str, characters: int) -> str:
    """Read the beginning of a file, plain or gzip, without reading the rest.

    :raises Refused: as ``unpack`` and ``as_utf8`` do.
    """
    is_packed = _is_packed(path, name)
    found, length = [], 0
    try:
        with gzip.open(path, "rb") if is_packed else path.open("rb") as stream:
            for text in _texts(stream, name, encoding):
                found.append(text)
                length += len(text)
                if length >= characters:
                    break
    except (OSError, EOFError, zlib.error) as damaged:
        raise _damaged(name, damaged) from damaged
    if is_packed and not length:
        raise _empty_inside(name)
    return "".join(found)[:characters]


def as_utf8(path: Path, name: str, encoding: str, scratch: Path) -> Path:
    """Give a UTF-8 file of the same text; a file that is UTF-8 already is only proven to be.

    :raises Refused: naming line and byte where the text does not fit the encoding, or when it is a web page.
    """
    is_utf8 = _is_utf8(encoding)
    converted = path if is_utf8 else scratch / f"{path.name}.utf8"
    with ExitStack() as stack:
        source = stack.enter_context(path.open("rb"))
        sink = None if is_utf8 else stack.enter_context(converted.open("w", encoding="utf-8", newline=""))
        for text in _texts(source, name, encoding):
            if sink is not None:
                sink.write(text)
    return converted


def _texts(source: IO[bytes] | gzip.GzipFile, name: str, encoding: str) -> Iterator[str]:
    is_utf8 = _is_utf8(encoding)
    decoder = codecs.getincrementaldecoder("utf-8" if is_utf8 else encoding)()
    lines, seen = 1, 0
    for chunk in chain(_chunks(source), (b"",)):
        if seen == 0:
            _refuse_a_web_page(chunk, name)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as wrong:
            at = seen + len(chunk) - len(wrong.object) + wrong.start
            line = lines + wrong.object[: wrong.start].count(b"\n")
            has_mark = seen == 0 and wrong.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            raise Refused(_not_encoded(name, encoding, is_utf8, line, at, has_mark), "data.encoding") from wrong
        except UnicodeError as wrong:
            raise Refused(
                f"{name} is not {encoding} text ({wrong}); set data.encoding to what it is", "data.encoding"
            ) from wrong
        lines += chunk.count(b"\n")
        seen += len(chunk)
        yield text


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}
    except LookupError as unknown:
        raise Refused(
            f"encoding {encoding!r} is unknown; write for example utf-8 or latin-1", "data.encoding"
        ) from unknown


def _is_packed(path: Path, name: str) -> bool:
    with path.open("rb") as stream:
        head = stream.read(MAGIC_BYTES)
    if not head:
        raise Refused(f"{name} is empty (0 bytes); export it again", "data.source")
    _refuse_other_compression(head, name)
    is_gzip = head.startswith(GZIP_MAGIC)
    if not is_gzip and name.endswith(".gz"):
        raise Refused(f"{name} ends in .gz but is not a gzip file; rename it or compress it again", "data.source")
    return is_gzip


def _refuse_other_compression(head: bytes, name: str) -> None:
    for kind, magics in UNREAD_MAGICS.items():
        if not head.startswith(magics):
            continue
        if kind == "zip" and name.lower().endswith(WORKBOOKS):
            raise Refused(f"{name} is a workbook, which is not read; save its sheet as CSV", "data.source")
        raise Refused(
            f"{name} is compressed with {kind}, which is not read; unpack it, or compress it with gzip", "data.source"
        )


def _damaged(name: str, damaged: Exception) -> Refused:
    return Refused(f"{name} is a damaged gzip file ({damaged}); copy or compress it again", "data.source")


def _empty_inside(name: str) -> Refused:
    return Refused(f"{name} is empty inside its gzip wrapper; export it again", "data.source")


def _not_encoded(name: str, encoding: str, is_utf8: bool, line: int, at: int, has_mark: bool) -> str:  # noqa: PLR0917
    way_out = "set data.encoding to what it is"
    if is_utf8:
        likely = "its first bytes are those of UTF-16" if has_mark else "if it is Western European text"
        way_out = f"{likely}, set `encoding: {'utf-16' if has_mark else 'latin-1'}`"
    return f"{name} is not {'UTF-8' if is_utf8 else encoding} text: line {line}, byte {at:,}; {way_out}"


def _refuse_a_web_page(head: bytes, name: str) -> None:
    start = head[:200].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(HTML_STARTS):
        raise Refused(
            f"{name} is a web page, not data; is the address behind a log-in, or an error page?", "data.source"
        )


def _chunks(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    return iter(lambda: stream.read(CHUNK_BYTES), b"")
