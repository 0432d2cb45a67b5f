"""``understudy up``, ``down``, ``demo`` and ``practice``: what the words of the Makefile call."""

import json
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
    from understudy.story.practice import Left

DEMO = "demo"
PRACTICE = "practice"


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
    """Stop what `up`, `demo` and `practice` started; models, data and history stay."""
    from understudy.embedded import stack
    from understudy.embedded.layout import Layout

    home = deployment().home.resolve()
    with telling(as_json) as tell:
        tell("stopping")
        stopped = [name for place in (home, home / DEMO, home / PRACTICE) for name in stack.down(Layout(home=place))]
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


def practice(as_json: AsJson = False) -> None:
    """Leave a bad champion serving on a stack of its own, to practise what is done on call."""
    from understudy.story.practice import leave_bad_champion

    home = deployment().home.resolve() / PRACTICE
    with telling(as_json) as tell:
        left = leave_bad_champion(home, tell)
    answer(as_json, left, lambda console: _practice_page(console, left))


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


def _practice_page(console: "Console", left: "Left") -> None:
    from understudy.story.practice import ROW

    _running_page(console, left.running)
    console.print()
    console.print(
        f"A bad model serves, {left.seconds:.0f} s after the start. It is three in the morning, and you are on call: "
        "find it, read why it is bad, and take it back."
    )
    console.print(f"In a browser: {left.running.airflow}/plugin/models")
    console.print("Or in this terminal, beginning with:")
    console.print(
        f"  export UNDERSTUDY_HOME={left.running.home} AIRFLOW__UNDERSTUDY__MODELS_DIR={left.models_dir}; "
        ".venv/bin/understudy status"
    )
    console.print("Which version answers the callers:")
    console.print(
        f"  curl -si {left.running.gateway}/models/{left.model}/invocations -H 'Content-Type: application/json' "
        f"-d '{json.dumps(ROW)}' | grep -i x-understudy-version"
    )


def _running_page(console: "Console", running: "Running") -> None:
    for remark in running.remarks:
        console.print(f"Note: {remark}.")
    console.print("Running already." if running.was_running else f"Ready after {running.seconds:.0f} s.")
    console.print(f"  Airflow  {running.airflow}  ({running.way_in})")
    console.print(f"  MLflow   {running.mlflow}")
    console.print(f"  Gateway  {running.gateway}")
    console.print(f"  state    {running.home}")
    console.print("Stop it with: make down  (or: understudy down)")
