"""The reason that commands ask for."""

from typing import Annotated

import typer

from understudy.cli.errors import BadArgument
from understudy.contract.reason import reason_problem

Reason = Annotated[str, typer.Option(help="Why; kept in the ledger.")]


def checked_reason(reason: str) -> str:
    """Return a reason that says something.

    :raises BadArgument: for an empty or an endless one.
    """
    problem = reason_problem(reason)
    if problem:
        raise BadArgument("--reason", problem, "Say in a sentence why; the ledger keeps it.")
    return reason.strip()
