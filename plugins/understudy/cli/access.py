"""``understudy access``: bring roles and the first account into Airflow's database."""

from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from understudy.cli.answer import AsJson, answer

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.access.accounts import Access


def access(
    admin_password: Annotated[
        str,
        typer.Option(
            envvar="UNDERSTUDY_ADMIN_PASSWORD",
            show_envvar=True,
            help="The password that the account `admin` is created with; no account is created without one.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make Airflow's roles what this version declares, and create the first account. Safe to repeat."""
    from understudy.access.accounts import bring

    brought = bring(SecretStr(admin_password))
    answer(as_json, brought, lambda console: _page(console, brought))


def _page(console: "Console", brought: "Access") -> None:
    console.print(f"Roles: {', '.join(brought.roles)}.")
    console.print(f"Account {brought.created} was created." if brought.created else "No account was created.")
