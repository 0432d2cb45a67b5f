"""What is deleted: what is older than the declaration keeps, and the oldest beyond the disk it grants."""

import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from understudy.gateway.log.manifest import forget_empty
from understudy.gateway.log.segment import is_being_written, opened_at, segments_in

LOG = logging.getLogger(__name__)


class _Piece(NamedTuple):
    since: datetime
    until: datetime
    path: Path
    size: int


def retain(folder: Path, keep_s: float, max_bytes: int, now: datetime) -> int:
    """Delete the oldest files of a log and return how many; what is being written stays.

    :param keep_s: how long predictions and labels are kept, in seconds.
    """
    pieces = sorted([*_segments(folder), *_partitions(folder)])
    total = sum(piece.size for piece in pieces)
    oldest, deleted, freed = now - timedelta(seconds=keep_s), 0, 0
    for piece in pieces:
        if (piece.until >= oldest and total - freed <= max_bytes) or not _delete(piece.path):
            continue
        deleted, freed = deleted + 1, freed + piece.size
    if deleted:
        forget_empty(folder)
        LOG.info(
            "Deleted %d files (%d bytes) of the prediction log in %s: too old, or too much.", deleted, freed, folder
        )
    return deleted


def _segments(folder: Path) -> list[_Piece]:
    found = []
    for kind in ("segments", "labels"):
        for path in segments_in(folder / kind):
            since = opened_at(path)
            size = _size(path)
            if since is not None and size is not None:
                found.append(_Piece(since, since, path, size))
    return found


def _partitions(folder: Path) -> list[_Piece]:
    found = []
    for path in (folder / "parquet").glob("*/version-*/*.parquet"):
        since = datetime.strptime(path.parts[-3], "%Y-%m-%d").replace(tzinfo=timezone.utc)
        size = _size(path)
        if size is not None:
            found.append(_Piece(since, since + timedelta(days=1), path, size))
    return found


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # compacted in between
        return None


def _delete(path: Path) -> bool:
    try:
        if path.suffix == ".jsonl" and is_being_written(path):
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True
