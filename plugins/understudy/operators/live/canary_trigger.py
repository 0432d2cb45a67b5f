"""Wait, without a worker, until callers' requests have decided about a canary at one share."""

from understudy.contract.by import By
from understudy.contract.errors import UnderstudyError
from understudy.contract.live.canary_report import CanaryReport
from understudy.contract.words import CanaryMode, Change, Verdict
from understudy.hooks.beside import end_beside
from understudy.hooks.connect import Hooks, connect
from understudy.operators.errors import GatewaysMissing
from understudy.operators.live.canary_watch import CanarySeen, CanaryWatch
from understudy.operators.live.live_trigger import LiveTrigger, Look
from understudy.operators.live.watch import Ending


class CanaryTrigger(LiveTrigger[CanaryWatch]):
    """Watch a canary at one share. One that nobody can see while it answers callers is ended after its grace.

    :param watch: a :class:`CanaryWatch` as JSON; it holds no secret.
    """

    def read(self) -> CanaryWatch:
        """Give the canary that is watched."""
        return CanaryWatch.model_validate(self.watch)

    def look(self, watch: CanaryWatch) -> Look:
        """Ask the gateways how the canary does; it blocks."""
        hooks = connect()
        try:
            replaced = _replaced(hooks, watch)
            if replaced is not None:
                return Look(None, replaced, is_overtaken=True)
            if hooks.gateways is None:
                return Look(None, str(GatewaysMissing(watch.model)), is_blind=True)
            return Look(hooks.gateways.canary(watch.model, watch.query))
        except UnderstudyError as problem:
            return Look(None, str(problem), is_blind=True)

    def seen(
        self, watch: CanaryWatch, look: Look, report: CanaryReport | None, blind_s: float | None
    ) -> CanarySeen | None:
        """Say how the watch ended, if it did."""
        ending = _ending(watch, look, blind_s)
        return None if ending is None else CanarySeen(watch=watch, ending=ending, report=report, problem=look.problem)

    def end(self, watch: CanaryWatch, actor: str, reason: str) -> None:
        """Give the callers back to the champion; it blocks."""
        end_watched_canary(watch, actor, reason)


def end_watched_canary(watch: CanaryWatch, actor: str, reason: str) -> None:
    """End the canary if it still is this run's; gateways that lag are told by their followers."""
    hooks = connect()
    record = hooks.deployments.current(watch.model)
    if record is not None and record.canary is not None and record.canary.version == watch.canary:
        end_beside(
            hooks.deployments,
            hooks.registry,
            hooks.places(watch.terms),
            watch.terms,
            watch.model,
            Change.CANARY_ENDED,
            by=By(actor=actor, reason=reason, run=watch.run),
        )


def _replaced(hooks: Hooks, watch: CanaryWatch) -> str | None:
    """Say which decision forbids to go on, if one does."""
    record = hooks.deployments.current(watch.model)
    if record is None or record.canary is None or not watch.is_about(record):
        told = "nothing" if record is None else f"version {record.champion.version} ({record.change}, {record.epoch})"
        return f"another decision replaced its record, and now serves {told}"
    lock = hooks.deployments.locked(watch.model).get(watch.champion)
    if lock is not None:
        return f"version {watch.champion} was locked: {lock}"
    hold = hooks.deployments.held(watch.model)
    if hold is not None:
        return f"{watch.model} is held by {hold.actor}: {hold.reason}"
    denial = hooks.deployments.denied(watch.model).get(record.canary.model_sha256)
    return f"version {watch.canary} was denied: {denial}" if denial is not None else None


def _ending(watch: CanaryWatch, look: Look, blind_s: float | None) -> Ending | None:
    if look.is_overtaken:
        return Ending.OVERTAKEN
    report = look.report if isinstance(look.report, CanaryReport) else None
    verdict = watch.judge(report, is_over=False).verdict
    has_risen = verdict is Verdict.PASSED and watch.gates.mode is CanaryMode.CANARY and watch.may_rise
    if verdict is Verdict.FAILED or has_risen:
        return Ending.DECIDED
    if blind_s is not None and blind_s >= watch.gates.grace.total_seconds():
        return Ending.OUT_OF_SIGHT
    return None if watch.left() else Ending.TIME_IS_UP
