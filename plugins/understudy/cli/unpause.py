"""Lifting a DAG's pause, which somebody may have set in an incident: only where the caller says so."""

from typing import Annotated

import typer

from understudy.cli.errors import BadArgument

Unpause = Annotated[
    bool, typer.Option("--unpause", help="Lift the pause of its DAG first; its schedule goes on then, too.")
]


def refuse_unpausing_locally(*, local: bool, unpause: bool) -> None:
    """Refuse to lift a pause for a run that asks no Airflow.

    :raises BadArgument: where both are asked for.
    """
    if local and unpause:
        raise BadArgument(
            "--local and --unpause", "exclude each other", "A pause in Airflow does not stop a run with --local."
        )
