"""Take the files of a version that was trained elsewhere: nothing leaves its folder, nothing is what it is not."""

import os
import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import IO

from starlette.concurrency import run_in_threadpool

from understudy.contract.stage import artefact_of
from understudy.gateway.errors import UploadRefused

MOST_FILES = 100_000
WRITE_BYTES = 4 << 20


class Upload:
    """Receive one version as a tar of its files, by names relative to the version's folder."""

    def __init__(self, model: str, version: int, folder: Path, max_bytes: int) -> None:
        self._model, self._version = model, version
        self._folder = folder
        self._max_bytes = max_bytes

    async def receive(self, stream: AsyncIterator[bytes], sha256: str) -> None:
        """Put a version's files in place if they have the digest. Raise UploadRefused, or OSError on a full disk."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder.parent, prefix=".upload-") as place:
            packed = Path(place) / "packed"
            with packed.open("wb") as packing:
                await self._save(stream, packing)
            await run_in_threadpool(self._put, Path(place), packed, sha256)

    async def _save(self, stream: AsyncIterator[bytes], packing: IO[bytes]) -> None:
        size, pending = 0, bytearray()
        async for part in stream:
            size += len(part)
            if size > self._max_bytes:
                raise self._refused(f"it is larger than {self._max_bytes:,} bytes", 413)
            pending += part
            if len(pending) >= WRITE_BYTES:
                await run_in_threadpool(packing.write, bytes(pending))
                pending.clear()
        await run_in_threadpool(packing.write, bytes(pending))

    def _put(self, place: Path, packed: Path, sha256: str) -> None:
        files = place / "files"
        files.mkdir()
        try:
            # Uncompressed only: what arrives is what it unpacks to.
            with tarfile.open(packed, mode="r:") as tar:
                self._unpack(tar, files)
        except (tarfile.TarError, UnicodeDecodeError, EOFError) as broken:
            raise self._refused("it is not an uncompressed tar") from broken
        if artefact_of(files, place).sha256 != sha256:
            raise self._refused("its digest is not the announced one")
        if self._folder.is_dir():
            os.replace(self._folder, place / "replaced")
        os.replace(files, self._folder)

    def _unpack(self, tar: tarfile.TarFile, files: Path) -> None:
        size = 0
        for number, member in enumerate(tar):
            name = PurePosixPath(member.name)
            size += max(member.size, 0)
            if number >= MOST_FILES or size > self._max_bytes:
                raise self._refused("it unpacks to more than is allowed", 413)
            if name.is_absolute() or ".." in name.parts or "\0" in member.name:
                raise self._refused("a file in it leaves the version's folder")
            if member.isdir():
                (files / name).mkdir(parents=True, exist_ok=True)
                continue
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise self._refused("it holds something other than files and folders")
            target = files / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # Exclusive: a name that comes twice could replace what was checked.
            with content, target.open("xb") as unpacked:
                shutil.copyfileobj(content, unpacked, 1 << 20)

    def _refused(self, problem: str, status: int = 422) -> UploadRefused:
        return UploadRefused(self._model, self._version, problem, status)
