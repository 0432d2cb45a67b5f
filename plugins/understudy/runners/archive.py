"""Files into and out of a container as tar streams, in bounded memory; or laid out in a folder that it mounts."""

import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from understudy.runners.errors import DiskFull, InputGone, UnsafeOutputs
from understudy.runners.links import Below, target_inside

CHUNK = 1 << 20
OUTPUTS_LIMIT_BYTES = 64 << 30
BLOCK = tarfile.BLOCKSIZE
NO_SPACE = 28  # errno.ENOSPC


@dataclass(frozen=True)
class Link:
    """Lead to a path, seen from where the link lies."""

    target: str


@dataclass(frozen=True)
class Entry:
    """Put a folder, a file of the worker, a link, or some bytes at a path of the container."""

    path: str
    source: Path | Below | Link | bytes | None = None
    mode: int = 0o444
    owner: tuple[int, int] = (0, 0)


def folder(path: str, owner: tuple[int, int] = (0, 0), mode: int = 0o755) -> Entry:
    """Make a folder."""
    return Entry(path, None, mode, owner)


def tree(path: str, source: Path) -> Iterator[Entry]:
    """Put a file or a whole folder, owned by root and read-only; byte code caches stay behind.

    Links in the folder stay links, so that nothing is read through them.

    :raises LinkLeadsOut: for a link in the folder that leaves it.
    """
    if source.is_file():
        yield Entry(path, source)
        return
    yield folder(path)
    for below in sorted(source.rglob("*")):
        relative = PurePosixPath(below.relative_to(source).as_posix())
        target = f"{path}/{relative}"
        if "__pycache__" in below.parts:
            continue
        if below.is_symlink():
            leads_to = target_inside(below, source)
            if leads_to is not None:
                yield Entry(target, Link(leads_to))
        elif below.is_dir():
            yield folder(target)
        elif below.is_file():
            yield Entry(target, Below(source, relative))


def lay_out(entries: Iterable[Entry], root: Path) -> None:
    """Write entries below an existing folder."""
    for entry in entries:
        path = root / entry.path
        if isinstance(entry.source, Link):
            path.symlink_to(entry.source.target)
            continue
        if entry.source is None:
            path.mkdir()
        elif isinstance(entry.source, bytes):
            path.write_bytes(entry.source)
        else:
            with _opened(entry.path, entry.source) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy, CHUNK)
        path.chmod(entry.mode)
        if os.getuid() == 0:
            os.chown(path, *entry.owner)


def pack(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Write a tar archive chunk by chunk."""
    for entry in entries:
        yield from _pack_one(entry)
    yield bytes(2 * BLOCK)


def _pack_one(entry: Entry) -> Iterator[bytes]:
    header = tarfile.TarInfo(entry.path)
    header.mode = entry.mode
    header.uid, header.gid = entry.owner
    if entry.source is None:
        header.type = tarfile.DIRTYPE
        yield header.tobuf(tarfile.PAX_FORMAT)
    elif isinstance(entry.source, Link):
        header.type, header.linkname = tarfile.SYMTYPE, entry.source.target
        yield header.tobuf(tarfile.PAX_FORMAT)
    elif isinstance(entry.source, bytes):
        header.size = len(entry.source)
        yield header.tobuf(tarfile.PAX_FORMAT) + entry.source + bytes(-header.size % BLOCK)
    else:
        with _opened(entry.path, entry.source) as stream:
            header.size = os.fstat(stream.fileno()).st_size
            yield header.tobuf(tarfile.PAX_FORMAT)
            left = header.size
            while left:
                chunk = stream.read(min(CHUNK, left))
                if not chunk:
                    raise InputGone(entry.path, entry.source, "became shorter while it was copied")
                left -= len(chunk)
                yield chunk
        yield bytes(-header.size % BLOCK)


def _opened(name: str, path: Path | Below) -> BinaryIO:
    try:
        return path.open() if isinstance(path, Below) else path.open("rb")
    except OSError as unreadable:  # the HTTP client, which reads this stream, would take it for a broken connection
        raise InputGone(name, path, f"cannot be read ({unreadable.strerror})") from unreadable


class _Stream:
    """Offer chunks as the file object that tarfile reads."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._left += chunk
        taken, self._left = self._left[:size], self._left[size:]
        return taken


def unpack_folder(chunks: Iterator[bytes], target: Path, limit: int = OUTPUTS_LIMIT_BYTES) -> None:
    """Extract the one folder of an archive into an existing ``target``.

    :raises UnsafeOutputs: for anything but plain files and folders below it, and beyond ``limit`` bytes.
    :raises DiskFull: where the target has no room.
    """
    left = limit
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _Stream(chunks)), mode="r|", bufsize=CHUNK) as archive:
            for member in archive:
                path = target / _safe_name(member)
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                left -= member.size
                if left < 0:
                    raise UnsafeOutputs(member.name, f"passes the limit of {limit >> 30} GiB")
                _extract(archive, member, path)
    except OSError as error:
        if error.errno == NO_SPACE:
            raise DiskFull(str(error)) from error
        raise


def _safe_name(member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise UnsafeOutputs(member.name, "lies outside")
    if not (member.isreg() or member.isdir()):
        raise UnsafeOutputs(member.name, "is a link or a special file")
    return PurePosixPath(*name.parts[1:])  # Docker prefixes the folder's own name


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    if source is None:
        raise UnsafeOutputs(member.name, "cannot be read")
    mode = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "wb") as copy:
        while chunk := source.read(CHUNK):
            copy.write(chunk)
