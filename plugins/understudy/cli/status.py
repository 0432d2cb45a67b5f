"""``understudy status``: what serves, since when, by whom and why."""

from typing import Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import declared_models, hooks
from understudy.cli.model_status import replicas_of, status_of
from understudy.cli.status_page import print_page, print_table
from understudy.contract.errors import UnknownModel
from understudy.contract.words import EntryKind
from understudy.settings import settings


def status(
    model: Annotated[str | None, typer.Argument(help="One model; all of them when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what serves, since when, by whom and why."""
    connected = hooks()
    declared = declared_models()
    known = sorted(
        {
            *declared,
            *(entry.model for entry in connected.ledger.entries(kinds=[EntryKind.DEPLOYED, EntryKind.CONCLUDED])),
        }
    )
    if model is not None and model not in known:
        raise UnknownModel(model, known, settings().models_dir)
    found = [status_of(connected, name, name in declared) for name in known if model in (None, name)]
    if model is not None:
        found = [found[0].model_copy(update={"replicas": replicas_of(connected, model)})]
    answer(
        as_json, found, lambda console: print_table(console, found) if model is None else print_page(console, found[0])
    )
