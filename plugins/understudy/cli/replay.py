"""``understudy replay``: what retraining policies would have done to a model's own past."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment, hooks
from understudy.cli.errors import BadArgument
from understudy.cli.ledger import parse_moment
from understudy.contract.declared import parse_duration
from understudy.contract.errors import UnderstudyError
from understudy.contract.load import load_model
from understudy.contract.replay.policies import parse_policies
from understudy.contract.replay.report import PolicyResult, Replayed
from understudy.contract.words import Takeover
from understudy.hooks.account import own_account
from understudy.terminal import open_terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


def replay(
    model: Annotated[str, typer.Argument(help="The model.")],
    *,
    policy: Annotated[
        str | None,
        typer.Option(help="Policies to compare: never, every, schedule:7d, drift, quality, hybrid, hybrid:8w …"),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="When the first training is.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="When the replay ends.")] = None,
    step: Annotated[str | None, typer.Option(metavar="DURATION", help="How often policies decide.")] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="How many containers at once.")] = 2,
    takeover: Annotated[
        Takeover, typer.Option(help="Whether the declared gates decide about each challenger, or it always takes over.")
    ] = Takeover.GATES,
    tolerance: Annotated[
        float, typer.Option(min=0, max=0.99, help="The share of the gain that a recommended policy may lose.")
    ] = 0.1,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to copy report and picture to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay retraining policies over a model's own past, and recommend one. Killed, it goes on where it was."""
    from understudy.embedded.replay_run import Asked, replay_locally
    from understudy.operators.replay.requests import keep_replay

    settings = deployment()
    spec = load_model(settings.models_dir, model)
    asked = Asked(
        policies=parse_policies(policy) if policy is not None else None,
        start=_moment(start, "--from"),
        end=_moment(end, "--to"),
        step=_step(step),
        takeover=takeover,
        parallel=parallel,
        tolerance=tolerance,
    )
    with showing(f"Replaying {model}", quiet=as_json) as progress:
        done = replay_locally(settings, spec, asked, progress)
    problem: UnderstudyError | None = None
    try:
        keep_replay(hooks(), done.replayed, done.report, own_account(), f"replay-{done.replayed.key}")
    except UnderstudyError as unreachable:  # an hour's work must be shown, whoever cannot be reached
        problem = unreachable
    kept = done.report
    if out is not None:
        shutil.copytree(done.report, out, dirs_exist_ok=True)
        kept = out
    answer(as_json, done.replayed, lambda console: _page(console, done.replayed, kept))
    if problem is not None:
        raise problem


def _moment(text: str | None, argument: str) -> datetime | None:
    return parse_moment(text, argument) if text else None


def _step(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        step: timedelta = parse_duration(text)
    except ValueError as unreadable:
        raise BadArgument("--step", str(unreadable), "Write for example 1d or 6h.") from unreadable
    if not step:
        raise BadArgument("--step", "a step of zero never ends", "Write for example 1d or 6h.")
    return step


def _page(console: "Console", replayed: Replayed, kept: Path) -> None:
    from rich.table import Table

    report = replayed.report
    table = Table(title=f"{report.model}: {len(report.moments) - 1} steps, {report.rows:,} rows", title_justify="left")
    table.add_column("policy")
    for column in (report.metric, "trainings", "of the gain", "same budget", "regret", "false alarms", "cost", "kappa"):
        table.add_column(column, justify="right")
    for result in report.policies:
        is_best = report.recommendation is not None and report.recommendation.policy == result.policy
        table.add_row(*_cells(result, replayed.seconds_per_training), style="bold" if is_best else None)
    console.print(table)
    if report.no_change is not None:
        console.print(f"Repeating the last label: {report.metric} {report.no_change:.4f}")
    for note in report.notes:
        console.print(f"Note: {note}")
    if report.recommendation is not None:
        console.print()
        console.print(f"Recommended: {report.recommendation.sentence}.")
        console.print()
        for line in report.recommendation.yaml.splitlines():
            console.print(line)
    console.print(f"Page and picture: {kept}")


def _cells(result: PolicyResult, seconds: float | None) -> tuple[str, ...]:
    cost = f"{result.training_rows:,} rows" if seconds is None else f"{result.trainings * seconds:,.0f} s"
    return (
        result.policy,
        _number(result.quality),
        f"{result.trainings}",
        "–" if result.share_of_gain is None else f"{result.share_of_gain:.0%}",
        _number(result.same_budget),
        _number(result.regret),
        f"{result.false_alarms}",
        cost,
        _number(result.kappa_temporal),
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


class ReplayDisplay:
    """Show the parts of a replay as they go on, with the time that is left."""

    def __init__(self, bars: "Progress", console: "Console") -> None:
        self.bars, self.console = bars, console
        self._part: TaskID | None = None

    def begin(self, what: str, total: int) -> None:
        """Begin a part."""
        self._part = self.bars.add_task(what, total=total)
        if not self.console.is_terminal:
            self.console.print(f"  {what}: {total}", markup=False)

    def advance(self) -> None:
        """Tell that one more is done."""
        if self._part is not None:
            self.bars.advance(self._part)


@contextmanager
def showing(title: str, *, quiet: bool) -> Iterator[ReplayDisplay]:
    """Show a replay on stderr while the block runs."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with os.fdopen(os.dup(2), "w", encoding="utf-8") as stderr:
        terminal = open_terminal(stderr, quiet=quiet)
        terminal.print(title)
        columns: tuple[Any, ...] = (
            TextColumn("  {task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=terminal, disable=not terminal.is_terminal) as bars:
            yield ReplayDisplay(bars, terminal)
