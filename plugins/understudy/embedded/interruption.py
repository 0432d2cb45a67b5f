"""Ctrl-C for a run without a scheduler: what runs is ended, and nothing that decides begins after it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from understudy.contract.errors import UnderstudyError

STOPS = (signal.SIGINT, signal.SIGTERM)


class RunStopped(UnderstudyError):
    """A person or a program ended the run."""

    def __init__(self, dag_id: str, by: signal.Signals, log: str) -> None:
        self.by = by
        super().__init__(
            f"{dag_id} was stopped ({by.name}): what was running was ended, and no further task was begun. "
            f"`understudy status` tells who is champion; what happened until then is in {log}."
        )


class TaskNotBegun(UnderstudyError):
    """A task is not begun, since the run was stopped before."""

    def __init__(self) -> None:
        super().__init__("The run was stopped before this task began. Start another run.")


class Interruption:
    """Listen for the wish to stop; Airflow itself takes it for the failure of one task, and goes on with the next."""

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self._end_task: Any = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while the block runs; one that arrives between two tasks ends the block."""
        before = {number: signal.getsignal(number) for number in STOPS}
        for number in STOPS:
            signal.signal(number, self._hear)
        try:
            yield
        except KeyboardInterrupt:
            if self.by is None:
                raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def before_task(self, _context: Any) -> None:
        """Let a task begin and learn how it is ended; raise TaskNotBegun once the run is to stop."""
        if self.by is not None:
            raise TaskNotBegun
        # Airflow has just told SIGTERM to call this task's `on_kill`.
        handler = signal.getsignal(signal.SIGTERM)
        if handler != self._hear:
            self._end_task = handler
            signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        is_first, self.by = self.by is None, self.by or signal.Signals(number)
        if is_first and callable(self._end_task):
            self._end_task(signal.SIGTERM, frame)
        raise KeyboardInterrupt
