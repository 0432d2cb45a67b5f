"""The prediction log of one model at one gateway: answers never wait for it, and what it loses is counted."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.gateway.exchange import LogRow
from understudy.gateway.log.labels import Label
from understudy.gateway.log.writer import QueuedLabels, QueuedRow, Waiting, Writer

LOG = logging.getLogger(__name__)
QUEUE_ROWS = 100_000
QUEUE_BYTES = 128 * 1024**2
QUEUE_LABELS = 1_000_000
ROW_BYTES = 700
CLOSE_S = 10.0


class LogUnwritable(UnderstudyError):
    """What must be on disk could not be written."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem} Free the disk or mount it writable; then send it again.")


class LogHealth(Fact):
    """Say how a prediction log is doing since the gateway started."""

    written: int
    lost: int
    queued: int
    lag_s: float
    """How long the oldest prediction has waited to be written."""
    problem: str | None


class PredictionLog:
    """Keep what was asked and answered, in segments below a folder that is this model's alone.

    :param pii: columns that never reach the disk.
    :param strict: give a future for each row, done when it is on disk.
    :param keep_s: how long predictions and labels are kept, in seconds.
    :param max_bytes: how much disk they may use; the oldest are deleted beyond it.
    """

    def __init__(self, folder: Path, *, pii: tuple[str, ...], strict: bool, keep_s: float, max_bytes: int) -> None:
        self._strict = strict
        self._rows_in = self._bytes_in = self._labels_in = 0
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer = Writer(folder, pii=pii, strict=strict, keep_s=keep_s, max_bytes=max_bytes, resolve=self._resolve)

    @property
    def health(self) -> LogHealth:
        """Count what was written and lost, and name the problem if there is one."""
        writer = self._writer
        return LogHealth(
            written=writer.written,
            lost=writer.lost,
            queued=self._rows_in - writer.rows_done,
            lag_s=writer.lag_s,
            problem=writer.problem,
        )

    def append(self, row: LogRow) -> "asyncio.Future[None] | None":
        """Queue a row, on the event loop; in strict mode return what is done when it is on disk, or LogUnwritable."""
        writer = self._writer
        size = ROW_BYTES + len(row.item.body) + (0 if row.answer is None else len(row.answer.output))
        waiting = self._future() if self._strict else None
        if (
            self._is_closed
            or self._rows_in - writer.rows_done >= QUEUE_ROWS
            or self._bytes_in + size - writer.bytes_done > QUEUE_BYTES
        ):
            writer.refused += 1
            writer.wake()
            if waiting is not None:
                waiting.set_exception(LogUnwritable(self._why_full()))
            return waiting
        self._rows_in += 1
        self._bytes_in += size
        writer.rows.append(QueuedRow(row, size, waiting))
        writer.wake()
        return waiting

    def append_labels(self, labels: Sequence[Label]) -> "asyncio.Future[None]":
        """Queue labels, on the event loop; return what is done when all are on disk, or LogUnwritable."""
        waiting = self._future()
        if self._is_closed or self._labels_in + len(labels) - self._writer.labels_done > QUEUE_LABELS:
            waiting.set_exception(LogUnwritable(self._why_full()))
            return waiting
        self._labels_in += len(labels)
        self._writer.labels.append(QueuedLabels(labels, waiting))
        self._writer.wake()
        return waiting

    async def close(self) -> None:
        """Write what is queued; what the disk does not take within 10 s is lost, and said."""
        self._is_closed = True
        self._writer.stop()
        if not await asyncio.get_running_loop().run_in_executor(None, self._writer.join, CLOSE_S):
            LOG.error("%s %d predictions are lost.", self._writer.problem, self.health.queued)

    def _why_full(self) -> str:
        if self._is_closed:
            return "The prediction log is closed."
        return self._writer.problem or "The prediction log's queue is full."

    def _future(self) -> "asyncio.Future[None]":
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = self._loop.create_future()
        future.add_done_callback(_look)
        return future

    def _resolve(self, waiting: Waiting, problem: str | None) -> None:
        if self._loop is None or self._loop.is_closed():
            return
        try:
            self._loop.call_soon_threadsafe(_tell, waiting, problem)
        except RuntimeError:  # the loop was closed in between: nobody waits any more
            return


def _tell(waiting: Waiting, problem: str | None) -> None:
    for future in waiting:
        if future is None or future.done():
            continue
        if problem is None:
            future.set_result(None)
        else:
            future.set_exception(LogUnwritable(problem))


def _look(future: "asyncio.Future[None]") -> None:
    # Nobody waits for a mirror's row, and asyncio would complain about an error that nobody looked at.
    if not future.cancelled():
        future.exception()
