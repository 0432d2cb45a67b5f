"""``understudy up``, ``down`` and ``demo``: what the words of the Makefile call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment
from understudy.cli.errors import BROKEN
from understudy.terminal import open_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.embedded.stack import Running

DEMO = "demo"


def up(as_json: AsJson = False) -> None:
    """Start the embedded Airflow, MLflow and gateway; do nothing where they run."""
    from understudy.embedded import stack
    from understudy.embedded.layout import Layout
    from understudy.sample import file

    settings = deployment()
    with telling(as_json) as tell:
        if not file.PATH.is_file():
            tell("simulating the sample data")
            file.write_sample()
        running = stack.up(settings, Layout(home=settings.home.resolve()), tell)
    answer(as_json, running, lambda console: _running_page(console, running))


def down(as_json: AsJson = False) -> None:
    """Stop what `up` and `demo` started; models, data and history stay."""
    from understudy.embedded import stack
    from understudy.embedded.layout import Layout

    home = deployment().home.resolve()
    with telling(as_json) as tell:
        tell("stopping")
        stopped = [name for place in (home, home / DEMO) for name in stack.down(Layout(home=place))]
    answer(
        as_json,
        {"stopped": stopped},
        lambda console: console.print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running."),
    )


def demo(
    *,
    keep_running: Annotated[bool, typer.Option(help="Leave everything running afterwards, to look around.")] = True,
    as_json: AsJson = False,
) -> None:
    """Run the whole story: promotion, refusals and rollback, each checked against registry and ledger."""
    from rich.live import Live

    from understudy.story.demo import tell_story
    from understudy.story.display import StoryDisplay, show

    home = deployment().home.resolve() / DEMO
    terminal = open_terminal(stderr=True, quiet=as_json)
    display = StoryDisplay(terminal)
    if terminal.is_terminal:
        with Live(display, console=terminal, refresh_per_second=4):
            told = tell_story(home, display, keep_running=keep_running)
    else:
        told = tell_story(home, display, keep_running=keep_running)
    answer(as_json, told, lambda page: show(page, told))
    if not told.ok:
        raise typer.Exit(BROKEN)


@contextmanager
def telling(as_json: bool) -> Iterator[Callable[[str], None]]:
    """Show the current step with its seconds while the work goes on; on stderr, so that answers stay clean."""
    import time

    from rich.text import Text

    terminal = open_terminal(stderr=True, quiet=as_json)
    begun = time.monotonic()
    last = ""
    with terminal.status(Text("starting")) as status:

        def tell(step: str) -> None:
            nonlocal last
            status.update(Text(f"{step} ({time.monotonic() - begun:.0f} s)"))
            # Without a terminal there is no line to redraw: say each step once.
            if step != last and not terminal.is_terminal:
                terminal.print(step)
            last = step

        yield tell


def _running_page(console: "Console", running: "Running") -> None:
    for remark in running.remarks:
        console.print(f"Note: {remark}.", markup=False)
    console.print("Running already." if running.was_running else f"Ready after {running.seconds:.0f} s.")
    console.print(f"  Airflow  {running.airflow}  ({running.way_in})", markup=False)
    console.print(f"  MLflow   {running.mlflow}", markup=False)
    console.print(f"  Gateway  {running.gateway}", markup=False)
    console.print(f"  state    {running.home}", markup=False)
    console.print("Stop it with: make down  (or: understudy down)")
