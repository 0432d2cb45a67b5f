"""Show the story while it is told, and its end."""

import time
from textwrap import shorten
from typing import TYPE_CHECKING

from understudy.embedded.airflow_api import TaskState
from understudy.embedded.run_display import RunDisplay
from understudy.story.acts import ACTS, MODEL
from understudy.story.proof import Row

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from understudy.sample.traffic import Count
    from understudy.story.told import Told


class StoryDisplay:
    """Redraw the acts on a terminal; elsewhere print what ends."""

    def __init__(self, console: "Console") -> None:
        self.console = console
        self.rows: dict[int, Row] = {}
        self._step = ""
        self._begun = time.monotonic()
        self._act = 0
        self._run: RunDisplay | None = None

    def step(self, words: str) -> None:
        """Say what is being prepared."""
        if words != self._step and not self.console.is_terminal:
            self.console.print(words, markup=False)
        self._step = words

    def begin(self, number: int) -> None:
        """Open an act."""
        self._step, self._act = "", number
        self._run = RunDisplay(self.console, f"{number}. {ACTS[number - 1].title}")
        if not self.console.is_terminal:
            self.console.print(f"{number}. {ACTS[number - 1].title}", markup=False)

    def watch(self, tasks: list[TaskState]) -> None:
        """Take the newest state of the act's tasks."""
        if self._run is not None:
            self._run.update(tasks)

    def end(self, row: Row) -> None:
        """Close an act."""
        self.rows[row.act] = row
        self._run = None
        if not self.console.is_terminal:
            self.console.print(_ended(row))

    def __rich__(self) -> "RenderableType":
        """Draw everything as it is now."""
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = []
        for number, act in enumerate(ACTS, start=1):
            if number in self.rows:
                parts.append(_ended(self.rows[number]))
            elif number == self._act and self._run is not None:
                parts.append(self._run)
            else:
                parts.append(Text(f"{number}. {act.title}", style="dim"))
        if self._step:
            parts.insert(0, Text(f"{self._step} ({time.monotonic() - self._begun:.0f} s)", style="cyan"))
        return Group(*parts)


def show(console: "Console", told: "Told") -> None:
    """Print the final table and where to look around."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "", "what was done", "what happened", "serves", "live requests", "checked", box=SIMPLE, pad_edge=False
    )
    for row in told.rows:
        checked = (
            Text("; ".join(row.contradictions), style="red") if row.contradictions else Text("agrees", style="green")
        )
        champion = f"version {row.champion}" if row.champion else "none"
        table.add_row(str(row.act), row.title, _short(row.happened, 110), champion, _live(row.live), checked)
    console.print(table)
    console.print(
        "Checked: each row against the deployment record, the ledger's entries, the registry's aliases, a real request "
        "to the gateway, and what all callers were answered."
    )
    if told.reversal:
        back = told.reversal
        console.print(
            f"The way back: the guard had its verdict {back.detected_s:.0f} s after the fault. "
            f"{back.confirmed_ms:.0f} ms later the gateway had confirmed the version before; the change there took "
            f"{back.flip_ms:.1f} ms. No request sent after that was answered by version {back.version}."
        )
    console.print(f"Live: {_live(told.live)}; {told.labels:,} labels came later.")
    console.print(f"Ledger: {told.ledger} Set-up {told.setup_seconds:.0f} s, everything {told.seconds:.0f} s.")
    if told.running:
        console.print("Look around:")
        console.print(f"  Airflow  {told.running.airflow}  ({told.running.way_in})")
        console.print(f"  MLflow   {told.running.mlflow}")
        console.print(f"  Gateway  {told.running.gateway}/models/{MODEL}")
        console.print(f"  Ledger   UNDERSTUDY_HOME={told.running.home} .venv/bin/understudy ledger")
        console.print("Stop it with: make down")


def _ended(row: Row) -> "Text":
    from rich.text import Text

    mark = ("✗", "red") if row.contradictions else ("✓", "green")
    return Text.assemble(mark, f" {row.act}. {row.title} ({row.seconds:.0f} s)\n     {_short(row.happened)}")


def _live(live: "Count") -> str:
    return f"{live.requests:,}, {live.failed:,} failed"


def _short(sentence: str, limit: int = 220) -> str:
    return shorten(sentence, limit, placeholder=" …")
