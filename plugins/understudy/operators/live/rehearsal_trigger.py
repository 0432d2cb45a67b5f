"""Wait, without a worker, until live traffic has decided between two versions."""

from typing import TYPE_CHECKING

from understudy.contract.by import By
from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Lagging, RehearsalReport
from understudy.contract.words import Change, Verdict
from understudy.hooks.beside import end_beside
from understudy.hooks.connect import connect
from understudy.operators.errors import GatewaysMissing
from understudy.operators.live.live_trigger import LiveTrigger, Look
from understudy.operators.live.watch import Ending, Seen, Watch

if TYPE_CHECKING:
    from understudy.hooks.places.places import Places

CRASHES = 3
"""After how many deaths of its process a champion is not trusted to stay alive."""


class RehearsalTrigger(LiveTrigger[Watch]):
    """Watch a rehearsal or a probation.

    Gateways that cannot be asked, or a champion that cannot answer, end a probation after its grace; a rehearsal goes
    on until its deadline.

    :param watch: a :class:`Watch` as JSON; it holds no secret.
    """

    def read(self) -> Watch:
        """Give the rehearsal or probation that is watched."""
        return Watch.model_validate(self.watch)

    def look(self, watch: Watch) -> Look:
        """Ask the gateways how both versions do; it blocks."""
        return look_at(watch)

    def seen(self, watch: Watch, look: Look, report: RehearsalReport | None, blind_s: float | None) -> Seen | None:
        """Say how the watch ended, if it did."""
        ending = _ending(watch, look, blind_s)
        return None if ending is None else Seen(watch=watch, ending=ending, report=report, problem=look.problem)

    def end(self, watch: Watch, actor: str, reason: str) -> None:
        """End the mirror; it blocks."""
        end_watched_mirror(watch, actor, reason)


def look_at(watch: Watch) -> Look:
    """Ask whether the record still compares both versions, and how they do; it blocks."""
    hooks = connect()
    try:
        if not watch.is_about(hooks.deployments.current(watch.model)):
            return Look(None, is_overtaken=True)
        places = hooks.places(watch.terms)
        if places is None:
            return Look(None, str(GatewaysMissing(watch.model)), is_blind=True)
        # A report on a long log may take its time or fail; whether the champion answers must be known all the same.
        silence = _silence(watch, places) if watch.is_probation else None
        if silence is not None:
            return Look(None, silence, is_blind=True)
        return Look(places.rehearsal(watch.model, watch.query))
    except UnderstudyError as problem:
        return Look(None, str(problem))


def _silence(watch: Watch, places: "Places") -> str | None:
    """Tell of a place that cannot be reached, or of a champion whose process does not live there.

    The version before it answers in a dead champion's place, so no request shows that it is dead.
    """
    for status in places.status(watch.model):
        if isinstance(status, Lagging):
            return f"gateway {status.gateway} cannot be reached: {status.problem}"
        for worker in status.workers:
            if worker.version == watch.champion and not worker.is_ready:
                why = worker.problem or "its process is not ready"
                return f"version {worker.version} cannot answer at {status.gateway}: {why}"
            if worker.version == watch.champion and worker.restarts >= CRASHES:
                return f"version {worker.version} died {worker.restarts} times at {status.gateway}"
    return None


def end_watched_mirror(watch: Watch, actor: str, reason: str) -> None:
    """End the mirror if it still is the watch's; gateways that lag are told by their followers."""
    hooks = connect()
    if watch.is_about(hooks.deployments.current(watch.model)):
        end_beside(
            hooks.deployments,
            hooks.registry,
            hooks.places(watch.terms),
            watch.terms,
            watch.model,
            Change.MIRROR_ENDED,
            by=By(actor=actor, reason=reason, run=watch.run),
        )


def _ending(watch: Watch, look: Look, blind_s: float | None) -> Ending | None:
    if look.is_overtaken:
        return Ending.OVERTAKEN
    verdict = watch.judge(look.report if isinstance(look.report, RehearsalReport) else None).verdict
    if verdict is Verdict.FAILED or (verdict is Verdict.PASSED and not watch.is_probation):
        return Ending.DECIDED
    if watch.is_probation and blind_s is not None and blind_s >= watch.grace_s:
        return Ending.OUT_OF_SIGHT
    return None if watch.left() else Ending.TIME_IS_UP
