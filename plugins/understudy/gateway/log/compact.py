"""Turn closed segments into typed Parquet by day and model version; a crash at any moment loses and doubles nothing."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.gateway.confirm import confirm
from understudy.gateway.log.apart import run_apart
from understudy.gateway.log.frame import Requests
from understudy.gateway.log.line import Lines
from understudy.gateway.log.manifest import CompactedFile, Manifest, commit, manifests_in
from understudy.gateway.log.segment import is_being_written, segments_in, sync_folders

if TYPE_CHECKING:
    import polars as pl

BATCH_BYTES = 64 * 1024**2
LEVEL = 3


class CompactionRunning(UnderstudyError):
    """Another process is compacting the same log."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"Another process is compacting {folder}. Wait until it is done.")


class Compaction(Fact):
    """Say what a compaction did."""

    segments: int = 0
    rows: int = 0
    lost: int = 0
    """Rows that the segments say were never written."""
    damaged: int = 0
    """Lines that could not be read."""
    bytes_before: int = 0
    bytes_after: int = 0

    def plus(self, other: "Compaction") -> "Compaction":
        """Add another one's counts."""
        return Compaction(**{name: getattr(self, name) + getattr(other, name) for name in Compaction.model_fields})


def compact(folder: Path) -> Compaction:
    """Compact all segments of a model that nobody writes to; repeating that is harmless.

    :raises CompactionRunning: where another process is at it.
    """
    done = Compaction()
    if not folder.is_dir():
        return done
    with _alone(folder):
        _clear(folder)
        for batch in _batches(folder):
            try:
                done = done.plus(_compact(folder, batch))
            except FileNotFoundError:  # retention deleted a segment meanwhile; the others' turn comes again
                continue
    return done


async def compact_apart(folder: Path) -> Compaction:
    """Compact in a process of its own, so that answers do not wait; see :func:`run_apart` for what it raises."""
    return await run_apart(compact, folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    file = os.open(folder / "compacting", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as busy:
        raise CompactionRunning(folder) from busy
    finally:
        os.close(file)


def _clear(folder: Path) -> None:
    """Remove what a crashed compaction left: segments that count no longer, and Parquet files that never counted."""
    manifests = manifests_in(folder).values()
    for name in (name for manifest in manifests for name in manifest.segments):
        _remove(folder / name)
    counting = {folder / file.path for manifest in manifests for file in manifest.files}
    for path in (folder / "parquet").glob("*/version-*/*"):
        if path not in counting:
            _remove(path)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):  # retention was here
        os.unlink(path)


def _batches(folder: Path) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in segments_in(folder / "segments"):
        try:
            if is_being_written(path):
                continue
            size += path.stat().st_size
        except FileNotFoundError:  # retention was here
            continue
        batch.append(path)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _compact(folder: Path, batch: list[Path]) -> Compaction:
    requests, lost, damaged, before = Requests(features=True), 0, 0, 0
    for path in batch:
        lines = Lines(path)
        before += path.stat().st_size
        for facts in lines:
            if facts["kind"] == "lost":
                lost += facts["count"]
            else:
                requests.add(facts)
        damaged += lines.damaged + lines.torn
    name = batch[0].stem
    files = _write(folder, name, requests.frame()) if len(requests) else ()
    names = tuple(str(path.relative_to(folder)) for path in batch)
    commit(folder, name, Manifest(segments=names, files=files, damaged=damaged, lost=lost))
    for path in batch:
        _remove(path)
    return Compaction(
        segments=len(batch),
        rows=sum(file.rows for file in files),
        lost=lost,
        damaged=damaged,
        bytes_before=before,
        bytes_after=sum((folder / file.path).stat().st_size for file in files),
    )


def _write(folder: Path, name: str, frame: "pl.DataFrame") -> tuple[CompactedFile, ...]:
    import polars as pl

    found = []
    parts = frame.with_columns(pl.col("at").dt.date().alias("day")).partition_by(
        ["day", "version"], as_dict=True, maintain_order=True
    )
    for (day, version), part in parts.items():
        shelf = folder / "parquet" / f"{day}" / f"version-{version}"
        shelf.mkdir(parents=True, exist_ok=True)
        path = shelf / f"{name}.parquet"
        _put(part.drop("day"), path)
        span = part.select(since=pl.col("at").min(), until=pl.col("at").max()).row(0, named=True)
        found.append(CompactedFile(path=str(path.relative_to(folder)), rows=part.height, **span))
    return tuple(found)


def _put(part: "pl.DataFrame", path: Path) -> None:
    empty = [name for name in part.columns if name.startswith("x_") and part[name].null_count() == part.height]
    hidden = path.with_name(f".{path.stem}.tmp")
    part.drop(empty).write_parquet(hidden, compression="zstd", compression_level=LEVEL)
    with hidden.open("rb") as file:
        confirm(file.fileno())
    os.rename(hidden, path)
    sync_folders(path.parent, path.parent.parent, path.parent.parent.parent)
