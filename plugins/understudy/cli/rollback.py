"""``understudy rollback``: back to what served before, without Airflow."""

from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.break_glass import break_glass as at_gateways
from understudy.cli.break_glass import refuse_target
from understudy.cli.deployment import hooks, require_model
from understudy.cli.errors import BadArgument
from understudy.cli.reason import Reason, checked_reason
from understudy.contract.by import By
from understudy.contract.release import Deployment
from understudy.contract.serving import Acknowledgement, Lagging
from understudy.hooks.account import own_account

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.hooks.connect import Hooks
    from understudy.hooks.places.gateway_errors import GatewayLagging


class RolledBack(Deployment):
    """The record that a rollback wrote, and where it is served."""

    acks: tuple[Acknowledgement, ...]
    lagging: tuple[Lagging, ...]


def rollback(  # noqa: PLR0917 - one for each word that may be typed
    model: Annotated[str, typer.Argument(help="The model.")],
    reason: Reason,
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            min=1,
            metavar="VERSION",
            help="A version that has served before; the previous champion when left out.",
        ),
    ] = None,
    break_glass: Annotated[
        bool,
        typer.Option(
            "--break-glass", help="At the gateways alone, now: for when ledger, registry or Airflow are down."
        ),
    ] = False,
    taking_back: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="VERSION",
            help="With --break-glass: the version to take back; what all gateways answer with when left out.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a model back to what served before, as a whole bundle; the version taken back is denied from then on."""
    from understudy.hooks.rollback import plan_rollback

    given = checked_reason(reason)
    if break_glass:
        refuse_target(to)
        at_gateways(model, given, taking_back, dry_run=dry_run, as_json=as_json)
        return
    if taking_back is not None:
        raise BadArgument("--taking-back", "goes with --break-glass only", "Name what to go back to with --to.")
    connected = hooks()
    require_model(connected, model)
    if dry_run:
        plan = plan_rollback(connected.deployments, connected.registry, model, to)
        answer(as_json, plan, lambda console: console.print(f"Dry run: {plan.sentence}"))
        return
    before = connected.deployments.current(model)
    done, late = _rolled_back(connected, model, to, given)
    taken_back = f" Version {before.champion.version} was taken back and is denied." if before else ""
    answer(as_json, done, lambda console: _page(console, done, taken_back))
    if late is not None:
        raise late


def _rolled_back(
    connected: "Hooks", model: str, to: int | None, reason: str
) -> "tuple[RolledBack, GatewayLagging | None]":
    """Roll back; where a gateway lags, the record stands all the same and is shown before that is said."""
    from understudy.hooks.places.gateway_errors import GatewayLagging
    from understudy.hooks.rollback import rollback as roll_back

    places, terms = connected.served_now(model)
    late: GatewayLagging | None = None
    try:
        record = roll_back(
            connected.deployments,
            connected.registry,
            model,
            to,
            by=By(actor=own_account(), reason=reason),
            gateways=places,
            terms=terms,
        )
        acks = connected.deployments.acknowledged(model, record.epoch) if places else ()
    except GatewayLagging as lagging:
        written = connected.deployments.current(model)
        if written is None:
            raise
        late, record, acks = lagging, written, lagging.acks
    return RolledBack(**record.model_dump(), acks=acks, lagging=late.lagging if late else ()), late


def _page(console: "Console", done: RolledBack, taken_back: str) -> None:
    console.print(
        f"Version {done.champion.version} of {done.model} is champion again (epoch {done.epoch}).{taken_back}"
    )
    for ack in done.acks:
        console.print(f"  {ack.gateway}: acknowledged in {ack.flip_ms:.1f} ms")
    for late in done.lagging:
        console.print(f"  {late.gateway}: lags ({late.problem.rstrip('.')})")
