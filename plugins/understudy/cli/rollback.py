"""``understudy rollback``: back to what served before, without Airflow."""

from typing import Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import actor, hooks
from understudy.cli.lock import checked_reason


def rollback(
    model: Annotated[str, typer.Argument(help="The model.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")],
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            min=1,
            metavar="VERSION",
            help="A version that has served before; the previous champion when left out.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a model back to what served before, as a whole bundle; the version taken back is denied from then on."""
    from understudy.hooks.rollback import plan_rollback
    from understudy.hooks.rollback import rollback as roll_back

    given = checked_reason(reason)
    connected = hooks()
    if dry_run:
        plan = plan_rollback(connected.deployments, connected.registry, model, to)
        answer(as_json, plan, lambda console: console.print(f"Dry run: {plan.sentence}", markup=False))
        return
    before = connected.deployments.current(model)
    record = roll_back(connected.deployments, connected.registry, model, to, actor=actor(), reason=given, run=None)
    taken_back = f" Version {before.champion.version} was taken back and is denied." if before else ""
    answer(
        as_json,
        record,
        lambda console: console.print(
            f"Version {record.champion.version} of {model} is champion again (epoch {record.epoch}).{taken_back}",
            markup=False,
        ),
    )
