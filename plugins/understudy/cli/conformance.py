"""``understudy check-operator`` and ``check-target``: hold what a team wrote against the rules that all keep."""

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment, hooks
from understudy.cli.errors import BROKEN
from understudy.contract.complaint import Complaint
from understudy.contract.errors import UnderstudyError
from understudy.contract.load import load_model

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.contract.serving import ServingTerms
    from understudy.contract.serving_target import ServingTarget
    from understudy.hooks.connect import Hooks


def check_operator(
    operator: Annotated[str, typer.Argument(metavar="PKG.MOD:CLASS", help="The operator's class.")],
    as_json: AsJson = False,
) -> None:
    """Check a custom operator against the rules that all operators keep."""
    # Airflow writes a configuration into its home when it is first imported; a user's own home stays untouched.
    os.environ.setdefault("AIRFLOW_HOME", str(deployment().home.resolve() / "local" / "airflow"))
    from understudy.operators import conformance

    _tell(operator, conformance.check_operator(operator), as_json)


def check_target(
    model: Annotated[str, typer.Argument(help="A declared model that has a champion; its files are used.")],
    as_json: AsJson = False,
) -> None:
    """Promote, probe, refuse and roll back where a model is served, under the name understudy_check."""
    from understudy.hooks.errors import NothingServes
    from understudy.hooks.places.conformance import check_target as check
    from understudy.hooks.places.serving_terms import terms_of

    connected = hooks()
    terms = terms_of(load_model(connected.settings.models_dir, model))
    record = connected.deployments.current(model)
    if record is None:
        raise NothingServes(model)
    files, bundles = connected.registry.keep(record.champion), connected.settings.home / "bundles"
    targets = connected.targets(terms)
    if not targets:
        raise NowhereServed(model)
    complaints: list[Complaint] = []
    for number in range(len(targets)):
        complaints += check(partial(_target, connected, terms, number), terms, files, bundles)
    _tell(", ".join(target.name for target in targets), complaints, as_json)


def _target(connected: "Hooks", terms: "ServingTerms", number: int) -> "ServingTarget":
    return connected.targets(terms)[number]


class NowhereServed(UnderstudyError):
    """No gateway is known."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} is served by gateways, and none is known here. Start one with `understudy gateway`, or set "
            "AIRFLOW__UNDERSTUDY__GATEWAYS."
        )


def _tell(what: str, complaints: list[Complaint], as_json: bool) -> None:
    def page(console: "Console") -> None:
        if not complaints:
            console.print(f"{what} keeps all the rules.")
        for complaint in complaints:
            console.print(f"{complaint.check}: {complaint.problem}", style="red")
            console.print(f"  {complaint.way_out}")

    answer(as_json, complaints, page)
    if complaints:
        raise typer.Exit(BROKEN)
