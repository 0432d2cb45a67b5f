"""The thread that brings the queue to disk: a group at a time, whatever the disk does."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from understudy.contract.errors import UnderstudyError
from understudy.gateway.exchange import LogRow
from understudy.gateway.log.encode import Encoder
from understudy.gateway.log.labels import Label, label_lines
from understudy.gateway.log.line import SCHEMA, seal
from understudy.gateway.log.retention import retain
from understudy.gateway.log.segment import ROTATE_BYTES
from understudy.gateway.log.stream import Stream, utc_now

LOG = logging.getLogger(__name__)
WINDOW_S = 0.05
IDLE_S = 30.0
RETRY_S = 0.5
SLOW_S = 5.0
RETAIN_S = 3600.0
GROUP_ROWS = 2_000
GROUP_BYTES = 8 * 1024**2
LABELS_AT_ONCE = 2_000

Waiting = Sequence["asyncio.Future[None] | None"]
Resolve = Callable[[Waiting, str | None], None]


class QueuedRow(NamedTuple):
    """Hold a row until its group is written."""

    row: LogRow
    size: int
    waiting: "asyncio.Future[None] | None"


class QueuedLabels(NamedTuple):
    """Hold a batch of labels until it is on disk."""

    labels: Sequence[Label]
    waiting: "asyncio.Future[None]"


class Writer:
    """Write rows and labels in groups.

    Rows wait for a group of 50 ms, or in strict mode only for the group before them. What cannot be written is kept
    and tried again; in strict mode it is refused at once. Rows are lost only beyond the queue, and are counted.

    :param resolve: told, from the thread, who need wait no longer, and the problem if there is one.
    """

    def __init__(
        self, folder: Path, *, pii: tuple[str, ...], strict: bool, keep_s: float, max_bytes: int, resolve: Resolve
    ) -> None:
        self.rows: deque[QueuedRow] = deque()
        self.labels: deque[QueuedLabels] = deque()
        self.written = self.rows_done = self.bytes_done = self.labels_done = 0
        self.refused = 0
        """Rows that the queue had no place for; counted by the event loop alone."""
        self.spoiled = 0
        """Rows that were taken and could not be written; counted by the thread alone."""
        self._folder, self._strict, self._keep_s, self._max_bytes = folder, strict, keep_s, max_bytes
        self._resolve = resolve
        self._encoder = Encoder(pii)
        size = max(64 * 1024, min(ROTATE_BYTES, max_bytes // 8))
        self._rows_out = Stream(folder / "segments", size, self._retain)
        self._labels_out = Stream(folder / "labels", size, self._retain)
        self._group: list[QueuedRow] = []
        self._lines = b""
        self._recorded = 0
        self._problem: str | None = None
        self._busy_since: float | None = None
        self._retained = 0.0
        self._wake, self._stop = threading.Event(), threading.Event()
        # A daemon: a disk that never answers must not keep the gateway from ending.
        self._thread = threading.Thread(target=self._run, name=f"log-{folder.name}", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str | None:
        """Say what keeps the log from being written; None when nothing does."""
        since = self._busy_since
        if since is not None and (waited := time.monotonic() - since) > SLOW_S:
            return f"The disk of {self._folder} has not answered for {waited:.0f} s; predictions queue up until then."
        return self._problem

    @property
    def lost(self) -> int:
        """Count the rows that are nowhere."""
        return self.refused + self.spoiled

    @property
    def lag_s(self) -> float:
        """Say how long the oldest row has waited; asked by another thread than the one that writes."""
        for queue in (self._group, self.rows):
            try:
                return max(0.0, (time.time_ns() - queue[0].row.ts_ns) / 1e9)
            except IndexError:  # nothing waits here, or was written just now
                continue
        return 0.0

    def wake(self) -> None:
        """Tell the thread that there is work."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """Tell the thread to write what is queued and end."""
        self._stop.set()
        self._wake.set()

    def join(self, seconds: float) -> bool:
        """Wait for the thread's end; tell whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._retain()
        stopping = False
        while not stopping:
            if self._problem is None:
                self._wake.wait(IDLE_S)
            else:
                (self._wake if self._strict else self._stop).wait(RETRY_S)
            if not self._strict:
                self._stop.wait(WINDOW_S)
            self._wake.clear()
            stopping = self._stop.is_set()
            try:
                self._drain()
            except Exception as bug:  # noqa: BLE001 - whatever it is, the thread that writes the log lives on
                self._note(f"The prediction log in {self._folder} failed ({type(bug).__name__}).")
                self._finish_group(self._problem, written=False)
        self._give_up()

    def _drain(self) -> None:
        if time.monotonic() - self._retained > RETAIN_S:
            self._retain()  # what is too old goes, too, where nobody asks any more
        self._rows_out.rotate()
        self._labels_out.rotate()
        while self._write_rows():
            pass
        while self.labels:
            self._write_labels(self.labels.popleft())

    def _write_rows(self) -> bool:
        if not self._group:
            self._next_group()
        lost = self.lost - self._recorded
        if not self._group and not lost:
            return False
        is_written, problem = self._commit(self._rows_out, [_lost_line(lost) + self._lines if lost else self._lines])
        if is_written:
            self._recorded += lost
        elif not self._strict:
            return False
        self._finish_group(problem, written=is_written)
        return problem is None

    def _next_group(self) -> None:
        lines: list[bytes] = []
        size = 0
        while self.rows and len(self._group) < GROUP_ROWS and size < GROUP_BYTES:
            queued = self.rows.popleft()
            try:
                lines.append(self._encoder.line(queued.row))
            except Exception as bug:  # noqa: BLE001 - one row that cannot be written must not take others with it
                LOG.error("A prediction in %s could not be logged: %s.", self._folder, type(bug).__name__)
                self._done([queued])
                self.spoiled += 1
                self._resolve([queued.waiting], f"A prediction could not be logged ({type(bug).__name__}).")
                continue
            self._group.append(queued)
            size += queued.size
        self._encoder.forget_bodies()
        self._lines = b"".join(lines)

    def _finish_group(self, problem: str | None, *, written: bool) -> None:
        group, self._group, self._lines = self._group, [], b""
        if written:
            self.written += len(group)
        else:
            self.spoiled += len(group)
        self._done(group)
        if self._strict:
            self._resolve([queued.waiting for queued in group], problem)

    def _done(self, group: Sequence[QueuedRow]) -> None:
        self.rows_done += len(group)
        self.bytes_done += sum(queued.size for queued in group)

    def _write_labels(self, queued: QueuedLabels) -> None:
        labels = queued.labels
        pieces = [label_lines(labels[at : at + LABELS_AT_ONCE]) for at in range(0, len(labels), LABELS_AT_ONCE)]
        _, problem = self._commit(self._labels_out, pieces)
        self.labels_done += len(labels)
        self._resolve([queued.waiting], problem)

    def _commit(self, stream: Stream, pieces: list[bytes]) -> tuple[bool, str | None]:
        is_written = False
        self._busy_since = time.monotonic()
        try:
            for piece in pieces:
                stream.write(piece)
            is_written = True
            stream.sync()
        except OSError as failed:
            kept = "what is written survives this process only" if is_written else "predictions wait and are then lost"
            self._note(f"The prediction log in {self._folder} cannot be written ({failed.strerror}); {kept}.")
            return is_written, self._problem
        finally:
            self._busy_since = None
        if self._problem is not None:
            LOG.warning("The prediction log in %s can be written again.", self._folder)
            self._problem = None
        return True, None

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            LOG.error("%s", problem)
        self._problem = problem

    def _give_up(self) -> None:
        while self._group or self.rows:
            self._finish_group(self._problem, written=False)
            self._next_group()
        while self.labels:
            self._resolve([self.labels.popleft().waiting], self._problem or "The prediction log is closed.")
        if self.lost > self._recorded:
            LOG.error("%d predictions could not be logged in %s.", self.lost - self._recorded, self._folder)
        for stream in (self._rows_out, self._labels_out):
            try:
                stream.close()
            except OSError as failed:
                LOG.error("A segment in %s could not be closed: %s.", self._folder, failed.strerror)

    def _retain(self) -> None:
        self._retained = time.monotonic()
        try:
            retain(self._folder, self._keep_s, self._max_bytes, utc_now())
        except (OSError, UnderstudyError) as failed:
            LOG.error("Old predictions in %s could not be deleted: %s", self._folder, failed)


def _lost_line(count: int) -> bytes:
    return seal(orjson.dumps({"schema": SCHEMA, "kind": "lost", "ts_ns": time.time_ns(), "count": count}))
