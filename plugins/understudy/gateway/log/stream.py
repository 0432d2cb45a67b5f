"""An endless file: the current segment, and the next one when it is full, old or spoiled."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from understudy.gateway.log.segment import Segment


def utc_now() -> datetime:
    """Tell the time."""
    return datetime.now(timezone.utc)


class Stream:
    """Append to segments below a folder.

    :param rotated: called after a segment was closed.
    """

    def __init__(self, folder: Path, rotate_bytes: int, rotated: Callable[[], None]) -> None:
        self._folder, self._rotate_bytes, self._rotated = folder, rotate_bytes, rotated
        self._segment: Segment | None = None

    def write(self, lines: bytes) -> None:
        """Append whole lines; raise OSError where none of them could be written."""
        self.rotate()
        self._segment = self._segment or Segment(self._folder, utc_now())
        try:
            self._segment.write(lines)
        except OSError:
            self.close()  # a new segment does not depend on what is wrong with this one
            raise

    def sync(self) -> None:
        """Have the disk confirm what was written; raise OSError where it does not."""
        if self._segment is None:
            return
        try:
            self._segment.sync()
        except OSError:
            self.close()  # the system forgets what it failed to write, so that a later success would say nothing
            raise

    def rotate(self) -> None:
        """Close the segment if it is due."""
        if self._segment is not None and self._segment.is_due(utc_now(), self._rotate_bytes):
            self.close()
            self._rotated()

    def close(self) -> None:
        """Close the segment, so that it can be compacted."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()
