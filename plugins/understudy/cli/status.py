"""``understudy status``: how each model does, and what serves since when, by whom and why."""

from typing import Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.declared_dags import declared_dags
from understudy.cli.deployment import declared_models, hooks
from understudy.cli.model_status import replicas_of, status_of
from understudy.cli.status_page import print_page, print_table
from understudy.contract.errors import UnknownModel


def status(
    model: Annotated[str | None, typer.Argument(help="One model; all of them when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how each model does; of one, what serves, since when, by whom and why."""
    from understudy.overview.fleet_reader import FleetReader

    connected, declared = hooks(), declared_models()
    glances = FleetReader(connected.ledger).glances(declared_dags(declared, connected.settings))
    if model is not None and model not in {one.model for one in glances}:
        raise UnknownModel(model, [one.model for one in glances], connected.settings.models_dir)
    found = [status_of(connected, one) for one in glances if model in (None, one.model)]
    if model is not None:
        found = [found[0].model_copy(update={"replicas": replicas_of(connected, model)})]
    answer(
        as_json, found, lambda console: print_table(console, found) if model is None else print_page(console, found[0])
    )
