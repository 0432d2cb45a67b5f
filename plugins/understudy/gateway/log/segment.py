"""One append-only file of the log, and how a closed one is told from the one that is being written."""

import fcntl
import os
from datetime import datetime, timezone
from pathlib import Path

from understudy.gateway.confirm import confirm

STAMP = "%Y%m%dT%H%M%S%f"
ROTATE_S = 900.0
ROTATE_BYTES = 64 * 1024**2


class Segment:
    """Append lines to a new file below ``folder/<day>``, locked for as long as this process writes it.

    :raises OSError: where the disk is full, read-only or gone.
    """

    def __init__(self, folder: Path, now: datetime) -> None:
        day = folder / now.strftime("%Y-%m-%d")
        day.mkdir(parents=True, exist_ok=True)
        self.path = day / f"{now.strftime(STAMP)}-{os.getpid()}.jsonl"
        self.opened, self.size = now, 0
        # Locked before it has its name: compaction takes every named segment that is not locked.
        hidden = day / f".{self.path.name}"
        self._file = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(hidden, self.path)
            sync_folders(day, folder, folder.parent)
        except OSError:
            os.close(self._file)
            raise

    def write(self, lines: bytes) -> None:
        """Append whole lines; when that fails, cut off what was written of them and raise OSError."""
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(lines)

    def sync(self) -> None:
        """Have the disk confirm what was written."""
        confirm(self._file)

    def is_due(self, now: datetime, rotate_bytes: int) -> bool:
        """Tell whether it is time for the next segment."""
        age = (now - self.opened).total_seconds()
        return self.size >= rotate_bytes or age >= ROTATE_S or age < 0 or now.date() != self.opened.date()

    def close(self) -> None:
        """Release the lock; an empty segment is removed."""
        if not self.size:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


def is_being_written(path: Path) -> bool:
    """Tell whether some process holds the segment open for writing; raise FileNotFoundError where there is none."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def opened_at(path: Path) -> datetime | None:
    """Read from a segment's name when it was opened; None for a file that is no segment."""
    try:
        return datetime.strptime(path.stem.split("-")[0], STAMP).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def segments_in(folder: Path) -> list[Path]:
    """List segments by the time when they were opened."""
    return sorted((path for path in folder.glob("*/*.jsonl") if opened_at(path)), key=lambda path: path.name)


def sync_folders(*folders: Path) -> None:
    """Have the disk confirm the names of new files."""
    for folder in folders:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            confirm(file)
        finally:
            os.close(file)
