"""A process on this machine that is no child of ours."""

import asyncio
import os
import select
import signal
from time import monotonic

from understudy.contract.words import Confinement
from understudy.gateway.worker import is_there

POLL_S = 0.005
LAST_WAIT_S = 60.0  # the kernel may take its time with a process that waits for a disk


class LocalProcess:
    """Signal a process that is no child of ours, and never another one that got its number."""

    container: None = None
    held_to: frozenset[Confinement] = frozenset()

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._is_over = False
        self._handle: int | None = None
        try:
            # Held from a moment on when the process was there: it had just written to us.
            self._handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        except ProcessLookupError:
            self._is_over = True  # it refused the version at once, and has left
        except OSError:
            self._handle = None  # an old kernel, or a container that forbids it

    def rss_bytes(self) -> int | None:
        """Measure its memory; None where it is gone."""
        import psutil

        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return None

    async def end(self, grace_s: float) -> None:
        """Wait for its end, and kill it where that takes too long; the second time, nothing is left to do."""
        if self._is_over:
            return
        if not await self._wait(grace_s):
            self._kill()
            await self._wait(LAST_WAIT_S)
        self._is_over = True
        # Two may wait here at once, and the number of a closed handle may be anything's by now.
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _is_gone(self) -> bool:
        if self._is_over:
            return True
        if self._handle is not None:
            poll = select.poll()
            poll.register(self._handle, select.POLLIN)
            return bool(poll.poll(0))
        return not is_there(self.pid)

    def _kill(self) -> None:
        try:
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it went by itself

    async def _wait(self, seconds: float) -> bool:
        end = monotonic() + seconds
        while not self._is_gone():
            if monotonic() >= end:
                return False
            await asyncio.sleep(POLL_S)
        return True
