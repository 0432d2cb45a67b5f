"""``understudy check-operator``: hold a data team's operator against the rules that all operators keep."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment
from understudy.cli.errors import BROKEN

if TYPE_CHECKING:
    from rich.console import Console


def check_operator(
    operator: Annotated[str, typer.Argument(metavar="PKG.MOD:CLASS", help="The operator's class.")],
    as_json: AsJson = False,
) -> None:
    """Check a custom operator against the rules that all operators keep."""
    # Airflow writes a configuration into its home when it is first imported; a user's own home stays untouched.
    os.environ.setdefault("AIRFLOW_HOME", str(deployment().home.resolve() / "local" / "airflow"))
    from understudy.operators import conformance

    complaints = conformance.check_operator(operator)

    def page(console: "Console") -> None:
        if not complaints:
            console.print(f"{operator} keeps all the rules.", markup=False)
        for complaint in complaints:
            console.print(f"{complaint.check}: {complaint.problem}", style="red", markup=False)
            console.print(f"  {complaint.way_out}", markup=False)

    answer(as_json, complaints, page)
    if complaints:
        raise typer.Exit(BROKEN)
