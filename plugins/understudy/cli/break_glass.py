"""``understudy rollback --break-glass``: back to what served before, at the gateways alone."""

from typing import TYPE_CHECKING

from understudy.cli.answer import answer
from understudy.cli.deployment import hooks
from understudy.cli.errors import BadArgument
from understudy.contract.break_glass import LONGEST_ACTOR, BreakGlassOrder, GlassAcknowledgement
from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Lagging, ModelStatus
from understudy.contract.words import Role
from understudy.hooks.account import own_account

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.hooks.places.gateways import Gateways

ASK_S = 3.0
WITHIN_S = 15.0


class NobodyToAsk(UnderstudyError):
    """There is no gateway to break the glass at."""

    def __init__(self, model: str, problem: str) -> None:
        self.model = model
        super().__init__(
            f"No gateway can be asked to take {model} back: {problem.rstrip('.')}. Check that one runs and that "
            "AIRFLOW__UNDERSTUDY__GATEWAYS names it."
        )


class GatewaysDisagree(UnderstudyError):
    """Nobody can tell which version is meant."""

    def __init__(self, model: str, found: list[ModelStatus]) -> None:
        self.model = model
        told = ", ".join(f"{status.gateway} version {status.version}" for status in found)
        super().__init__(
            f"The gateways answer with different versions of {model} ({told}). Say which with --taking-back."
        )


class GlassNotBroken(UnderstudyError):
    """Not every gateway took the version back."""

    def __init__(self, model: str, version: int, done: int, lagging: tuple[Lagging, ...]) -> None:
        self.model, self.version, self.lagging = model, version, lagging
        told = "; ".join(f"{late.gateway}: {late.problem.rstrip('.')}" for late in lagging)
        super().__init__(
            f"{done} of {done + len(lagging)} gateways took version {version} of {model} back. Not done: {told}. "
            "What was done stays done; type the same again for the others; it changes nothing where it was done."
        )


class Prospect(Fact):
    """What break-glass would do at one gateway."""

    gateway: str
    answers: int | None
    """The version that answers now."""
    target: int | None
    """The warm version that would answer; None where it would be refused."""
    problem: str | None = None


class GlassPlan(Fact):
    """What break-glass would do everywhere."""

    model: str
    version: int
    gateways: tuple[Prospect, ...]


class GlassBroken(Fact):
    """Which gateways took a version back."""

    model: str
    version: int
    done: tuple[GlassAcknowledgement, ...]
    lagging: tuple[Lagging, ...]


def break_glass(model: str, reason: str, taking_back: int | None, *, dry_run: bool, as_json: bool) -> None:
    """Take a version back at every gateway, asking nobody else; raise GlassNotBroken where one did not."""
    gateways = hooks().gateways
    if gateways is None:
        raise NobodyToAsk(model, "none is known")
    statuses = gateways.status(model, ASK_S)
    version = _meant(model, statuses) if taking_back is None else taking_back
    if dry_run:
        plan = _plan(gateways, model, version, statuses)
        answer(as_json, plan, lambda console: _plan_page(console, plan))
        return
    order = BreakGlassOrder(actor=own_account()[:LONGEST_ACTOR], reason=reason, version=version)
    answers = gateways.break_glass(model, order, WITHIN_S)
    done = GlassBroken(
        model=model,
        version=version,
        done=tuple(given for given in answers if isinstance(given, GlassAcknowledgement)),
        lagging=tuple(given for given in answers if isinstance(given, Lagging)),
    )
    answer(as_json, done, lambda console: _page(console, done))
    if done.lagging:
        raise GlassNotBroken(model, version, len(done.done), done.lagging)


def refuse_target(to: int | None) -> None:
    """Raise BadArgument where a target is named: a gateway goes back to what it keeps warm, and to nothing else."""
    if to is not None:
        raise BadArgument(
            "--to", "does not go with --break-glass", "A gateway goes back to its warm previous champion."
        )


def _meant(model: str, statuses: tuple[ModelStatus | Lagging, ...]) -> int:
    """Find the version that all gateways answer with, so that two people at once take the same one back."""
    found = [status for status in statuses if isinstance(status, ModelStatus) and status.version is not None]
    if not found:
        problem = next((late.problem for late in statuses if isinstance(late, Lagging)), "none of them serves it")
        raise NobodyToAsk(model, problem)
    # Where it was done already, the version that was taken back is the one that is meant.
    broken = {status.broken_glass.taken_back.version for status in found if status.broken_glass is not None}
    answering = {status.version for status in found if status.broken_glass is None and status.version is not None}
    meant = broken | answering
    if len(meant) != 1:
        raise GatewaysDisagree(model, found)
    return meant.pop()


def _plan(gateways: "Gateways", model: str, version: int, statuses: tuple[ModelStatus | Lagging, ...]) -> GlassPlan:
    return GlassPlan(
        model=model,
        version=version,
        gateways=tuple(_prospect(url, version, status) for url, status in zip(gateways.urls, statuses, strict=True)),
    )


def _prospect(url: str, version: int, status: ModelStatus | Lagging) -> Prospect:
    if isinstance(status, Lagging):
        return Prospect(gateway=url, answers=None, target=None, problem=status.problem)
    standby = next((worker for worker in status.workers if worker.role is Role.STANDBY and worker.is_ready), None)
    problem = None
    if status.broken_glass is not None and status.broken_glass.taken_back.version == version:
        problem = f"version {version} is taken back there already"
    elif status.version != version:
        problem = f"it does not answer with version {version}"
    elif standby is None:
        problem = "no previous champion is warm there"
    target = standby.version if standby is not None and problem is None else None
    return Prospect(gateway=status.gateway, answers=status.version, target=target, problem=problem)


def _plan_page(console: "Console", plan: GlassPlan) -> None:
    console.print(f"Dry run: version {plan.version} of {plan.model} would be taken back.")
    for gateway in plan.gateways:
        told = gateway.problem or f"from version {gateway.answers} to version {gateway.target}"
        console.print(f"  {gateway.gateway}: {told}")


def _page(console: "Console", done: GlassBroken) -> None:
    for ack in done.done:
        glass = ack.glass
        how = f"before, by {glass.actor} ({glass.reason})" if ack.is_repeated else f"in {ack.flip_ms:.1f} ms"
        console.print(
            f"  {glass.gateway}: version {glass.taken_back.version} of {glass.model} was taken back {how}; "
            f"version {glass.target.version} answers"
        )
    for late in done.lagging:
        console.print(f"  {late.gateway}: not done ({late.problem.rstrip('.')})")
    if done.done:
        console.print("The gateways' followers report it to the ledger as soon as they reach it.")
