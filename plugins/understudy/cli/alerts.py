"""``understudy alerts``: what people were told, what waits, and whether the receivers work."""

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import hooks
from understudy.cli.errors import BROKEN, BadArgument
from understudy.cli.row import print_row
from understudy.contract.moment import moment_to_the_second

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.hooks.alerting.alerts import Tried
    from understudy.hooks.alerting.deliveries import Delivery

app = typer.Typer(help="See what people were told, and try the receivers.", no_args_is_help=True)


@app.command("list")
def list_alerts(
    last: Annotated[int, typer.Option(min=1, help="How many of the newest to show.")] = 30,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that were not delivered yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the newest alerts, and what became of each at each receiver."""
    found = hooks().alerts.outbox.deliveries(last, only_open=waiting)
    nothing = "Nothing waits to be told." if waiting else "Nobody was told anything."
    answer(as_json, found, lambda console: _page(console, found, nothing))


@app.command("test")
def try_receivers(
    model: Annotated[str | None, typer.Option(help="The receivers of this model; the deployment's else.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a test message to each receiver and say what happened."""
    tried = hooks().alerts.try_receivers(model or "", datetime.now(timezone.utc))
    if not tried:
        raise BadArgument(
            f"alerts.to of {model}" if model else "AIRFLOW__UNDERSTUDY__ALERTS_TO",
            "names nobody",
            "Name Airflow connections there (docs/alerts.md).",
        )
    answer(as_json, tried, lambda console: _tried(console, tried))
    if any(one.problem for one in tried):
        raise typer.Exit(BROKEN)


def _page(console: "Console", found: "list[Delivery]", nothing: str) -> None:
    if not found:
        console.print(nothing)
    for one in found:
        if one.sent_at is not None:
            became = f"told {one.receiver} at {moment_to_the_second(one.sent_at)}"
        else:
            why = f" ({one.problem})" if one.problem else ""
            became = f"waits for {one.receiver} until {moment_to_the_second(one.next_at)}{why}"
        print_row(console, f"{moment_to_the_second(one.at)}  {one.kind:<16} {one.sentence}")
        print_row(console, f"{'':<25}{became}")


def _tried(console: "Console", tried: "tuple[Tried, ...]") -> None:
    for one in tried:
        console.print(f"{one.receiver}: {one.problem or 'took the message'}")
