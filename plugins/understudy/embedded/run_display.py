"""Show a run while it goes on: which task, for how long."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from understudy.embedded.airflow_api import ENDED_TASK, TaskState
from understudy.terminal import open_terminal

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

MARKS = {
    "success": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("–", "dim"),
    "upstream_failed": ("–", "dim"),
    "running": ("▶", "cyan"),
}


class RunDisplay:
    """Redraw a run's tasks on a terminal; elsewhere print each task once, when it ends."""

    def __init__(self, console: "Console", title: str) -> None:
        self.console, self.title = console, title
        self.tasks: list[TaskState] = []
        self._begun = time.monotonic()
        self._told: set[tuple[str, int]] = set()

    def update(self, tasks: Sequence[TaskState]) -> None:
        """Take the newest state of all tasks."""
        self.tasks = list(tasks)
        if self.console.is_terminal:
            return
        for task in self.tasks:
            key = (task.task, task.map_index)
            if task.state in ENDED_TASK and key not in self._told:
                self._told.add(key)
                self.console.print(f"  {name_of(task)}: {task.state} ({seconds_of(task):.0f} s)", markup=False)

    def __rich__(self) -> "RenderableType":
        """Draw the run as it is now; called several times a second, so that the seconds run."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for task in in_order(self.tasks):
            if task.state:
                seconds = f"{seconds_of(task):.0f} s" if task.since else ""
                table.add_row(
                    Text.assemble("  ", MARKS.get(task.state, ("…", "dim"))),
                    name_of(task),
                    seconds,
                    "" if task.state in MARKS else task.state,
                )
        head = Table.grid()
        head.add_row(Text(f"{self.title} ({time.monotonic() - self._begun:.0f} s)"))
        head.add_row(table)
        return head


@contextmanager
def showing(title: str, *, quiet: bool) -> Iterator[RunDisplay]:
    """Show a run on stderr while the block runs, even if the block sends stderr elsewhere."""
    from rich.live import Live

    with os.fdopen(os.dup(2), "w", encoding="utf-8") as stderr:
        terminal = open_terminal(stderr, quiet=quiet)
        display = RunDisplay(terminal, title)
        if not terminal.is_terminal:
            terminal.print(title)
            yield display
            return
        with Live(display, console=terminal, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False):
            yield display


def in_order(tasks: Sequence[TaskState]) -> list[TaskState]:
    """Sort tasks as they began; those that have not come last."""
    never = datetime.max.replace(tzinfo=timezone.utc)
    return sorted(tasks, key=lambda task: (task.since or never, task.map_index))


def name_of(task: TaskState) -> str:
    """Name a task as the Airflow UI does, with the attempt where it is not the first."""
    index = f" [{task.map_index}]" if task.map_index >= 0 else ""
    return f"{task.task}{index}" + (f", attempt {task.attempt}" if task.attempt > 1 else "")


def seconds_of(task: TaskState) -> float:
    """Tell how long a task has been running, or ran."""
    if task.since is None:
        return 0.0
    return ((task.until or datetime.now(timezone.utc)) - task.since).total_seconds()
