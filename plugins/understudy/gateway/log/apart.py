"""Work on the log in a process beside the gateway's, kept open because starting one takes a second."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from understudy.contract.errors import UnderstudyError

Found = TypeVar("Found")
NICE = 10
# Not "forkserver": its socket lies below TMPDIR, whose path may be longer than the 104 bytes that a socket's may have.
SPAWN = multiprocessing.get_context("spawn")


class ReaderDied(UnderstudyError):
    """The process that reads the log was killed, and the one after it too."""

    def __init__(self) -> None:
        super().__init__(
            "The process that reads the prediction log was killed twice. Is there too little memory? Ask again; a "
            "shorter rehearsal, or `understudy predictions compact`, makes the log smaller to read."
        )


class ReadingFailed(UnderstudyError):
    """The log could not be read, as the process beside the gateway's says."""


class _Pool:
    """Hold the pool of this process; a broken one is replaced."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def get(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, SPAWN, _be_modest)
        return self._pool

    def drop(self, broken: ProcessPoolExecutor) -> None:
        if self._pool is broken:
            self._pool = None
        broken.shutdown(wait=False, cancel_futures=True)


POOL = _Pool()


async def run_apart(function: Callable[..., Found], *given: Any) -> Found:
    """Run a function of a module beside the event loop; once more where its process was killed.

    :raises ReadingFailed: where the function cannot do its work.
    :raises ReaderDied: where the second process was killed too.
    """
    for _ in range(2):
        pool = POOL.get()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, _told, function, *given)
        except BrokenProcessPool:
            POOL.drop(pool)
    raise ReaderDied


def _told(function: Callable[..., Found], *given: Any) -> Found:
    """Say what went wrong in one sentence: exceptions of other kinds do not survive the way between processes."""
    try:
        return function(*given)
    except UnderstudyError as refused:
        raise ReadingFailed(str(refused)) from None
    except OSError as unreadable:
        raise ReadingFailed(
            f"The prediction log cannot be read ({unreadable.strerror}: {unreadable.filename}). Check its disk and the "
            "permissions of its folder."
        ) from None


def _be_modest() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the gateway
    threading.Thread(target=_leave_with_gateway, daemon=True).start()
    os.nice(NICE)  # answers come first
    os.environ["POLARS_MAX_THREADS"] = "1"


def _leave_with_gateway() -> None:
    gateway = multiprocessing.parent_process()
    if gateway is not None:
        gateway.join()
        os._exit(0)
