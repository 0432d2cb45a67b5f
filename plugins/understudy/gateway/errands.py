"""Work that is begun now and that nobody waits for before the end."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Errands:
    """Run coroutines beside everything else, and hold them until they are done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start one."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, most_s: float | None = None) -> None:
        """Wait for those that run, or for so many seconds at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=most_s)
