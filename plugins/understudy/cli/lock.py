"""``understudy lock`` and ``unlock``: a person decides that a version stays champion."""

from typing import Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import actor, hooks
from understudy.cli.errors import BadArgument
from understudy.contract.errors import UnderstudyError

REASON_LIMIT = 2000

Model = Annotated[str, typer.Argument(help="The model.")]
Version = Annotated[int, typer.Argument(min=1, help="The version.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the ledger.")]


class NotLocked(UnderstudyError):
    """A version that is not locked cannot be unlocked."""

    def __init__(self, model: str, version: int, locked: list[int]) -> None:
        listing = ", ".join(map(str, locked)) or "none"
        super().__init__(f"Version {version} of {model} is not locked. Locked versions: {listing}.")


def lock(model: Model, version: Version, reason: Reason, as_json: AsJson = False) -> None:
    """Keep a version from being replaced while it serves."""
    connected = hooks()
    given = checked_reason(reason)
    known = {served.deployment.champion.version for served in connected.deployments.history(model)}
    if version not in known:
        from understudy.hooks.errors import UnknownVersion

        raise UnknownVersion(model, version, "has never served, so there is nothing to lock")
    entry = connected.deployments.lock(model, version, actor(), given)
    answer(
        as_json,
        entry,
        lambda console: console.print(
            f"Version {version} of {model} is locked: neither a promotion nor a rollback replaces it while it serves.",
            markup=False,
        ),
    )


def unlock(model: Model, version: Version, reason: Reason, as_json: AsJson = False) -> None:
    """Let a locked version be replaced again."""
    connected = hooks()
    given = checked_reason(reason)
    locked = connected.deployments.locked(model)
    if version not in locked:
        raise NotLocked(model, version, sorted(locked))
    entry = connected.deployments.unlock(model, version, actor(), given)
    answer(
        as_json,
        entry,
        lambda console: console.print(f"Version {version} of {model} can be replaced again.", markup=False),
    )


def checked_reason(reason: str) -> str:
    """Return a reason that says something.

    :raises BadArgument: for an empty or an endless one.
    """
    given = reason.strip()
    if not given or len(given) > REASON_LIMIT:
        problem = "is empty" if not given else f"has {len(given):,} characters, {REASON_LIMIT:,} are allowed"
        raise BadArgument("--reason", problem, "Say in a sentence why; the ledger keeps it.")
    return given
