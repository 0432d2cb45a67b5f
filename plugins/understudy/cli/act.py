"""``understudy hold``, ``release``, ``lock``, ``unlock``, ``stop-shadow``: what a person does beside rolling back."""

from typing import Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import hooks
from understudy.cli.reason import Reason, checked_reason
from understudy.contract.by import By
from understudy.contract.words import Action
from understudy.hooks.account import own_account

Model = Annotated[str, typer.Argument(help="The model.")]
Version = Annotated[int | None, typer.Argument(min=1, help="The version; the champion when left out.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]


def hold(model: Model, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Retrain and judge a model as before, and promote nothing until it is released."""
    _act(Action.HOLD, model, None, reason, dry_run=dry_run, as_json=as_json)


def release(model: Model, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Let a held model be promoted again."""
    _act(Action.RELEASE, model, None, reason, dry_run=dry_run, as_json=as_json)


def lock(
    model: Model, reason: Reason, version: Version = None, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Keep a version from being replaced while it serves."""
    _act(Action.LOCK, model, version, reason, dry_run=dry_run, as_json=as_json)


def unlock(
    model: Model, reason: Reason, version: Version = None, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Let a locked version be replaced again."""
    _act(Action.UNLOCK, model, version, reason, dry_run=dry_run, as_json=as_json)


def stop_shadow(model: Model, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """End what is tried beside the champion: a rehearsal, a canary, a probation's comparison."""
    _act(Action.STOP_SHADOW, model, None, reason, dry_run=dry_run, as_json=as_json)


def _act(action: Action, model: str, version: int | None, reason: str, *, dry_run: bool, as_json: bool) -> None:
    from understudy.hooks.acts import act

    given = checked_reason(reason)
    acted = act(hooks(), action, model, version, by=By(actor=own_account(), reason=given), is_dry_run=dry_run)
    # A model's name stays as it is written, also where a sentence begins with it.
    begins_with_name = acted.sentence.startswith(f"{acted.model} ")
    said = acted.sentence if begins_with_name else f"{acted.sentence[0].upper()}{acted.sentence[1:]}"
    answer(
        as_json,
        acted,
        lambda console: console.print(f"Dry run: {acted.sentence}." if dry_run else f"{said}."),
    )
