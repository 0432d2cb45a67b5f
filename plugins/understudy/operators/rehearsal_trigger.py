"""Wait, without a worker, until live traffic has decided between two versions."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.triggers.base import BaseTrigger, TriggerEvent

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Lagging, RehearsalReport
from understudy.contract.words import Verdict
from understudy.hooks.connect import connect
from understudy.operators.errors import GatewaysMissing
from understudy.operators.watch import Ending, Seen, Watch

if TYPE_CHECKING:
    from understudy.hooks.places import Places

CRASHES = 3
"""After how many deaths of its process a champion cannot be trusted to go on living."""
KILLED = "a person ended the task that watched"


class Look(NamedTuple):
    """Hold what one look found."""

    report: RehearsalReport | None
    problem: str | None = None
    is_overtaken: bool = False
    is_blind: bool = False
    """The gateways could not be asked, or a champion in probation cannot answer them."""


class RehearsalTrigger(BaseTrigger):
    """Look at the gateways' reports until they decide, the time is up, or the comparison is over; then say so.

    Gateways that cannot be asked, or a champion that cannot answer, end a probation after its grace; a rehearsal goes
    on until its deadline. A user's kill ends the mirror; a triggerer that stops does not, because another one goes on.

    :param watch: a :class:`Watch` as JSON; it holds no secret.
    """

    def __init__(self, watch: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watch = watch

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Say how another triggerer makes the same trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"watch": self.watch}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield once, with what was seen."""
        watch = Watch.model_validate(self.watch)
        report, blind_since = None, None
        while True:
            began = time.monotonic()
            look = await asyncio.to_thread(look_at, watch)
            report = look.report or report
            blind_since = (blind_since or began) if look.is_blind else None
            ending = _ending(watch, look, blind_since)
            if ending is not None:
                seen = Seen(watch=watch, ending=ending, report=report, problem=look.problem)
                yield TriggerEvent(seen.model_dump(mode="json"))
                return
            if look.problem:
                self.log.warning("%s; looking again", look.problem)
            await asyncio.sleep(min(watch.poll_s, watch.left().total_seconds()))

    async def on_kill(self) -> None:
        """End the mirror that nobody watches any more."""
        watch = Watch.model_validate(self.watch)
        try:
            await asyncio.to_thread(end_watched_mirror, watch, "airflow", KILLED)
        except UnderstudyError as problem:
            self.log.warning("the mirror is left to housekeeping: %s", problem)


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

    The one before answers in a dead champion's place, so that no request shows it.
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
    from understudy.hooks.mirroring import end_mirror

    hooks = connect()
    if watch.is_about(hooks.deployments.current(watch.model)):
        end_mirror(
            hooks.deployments,
            hooks.registry,
            hooks.places(watch.terms),
            watch.terms,
            watch.model,
            actor=actor,
            reason=reason,
            run=watch.run,
        )


def _ending(watch: Watch, look: Look, blind_since: float | None) -> Ending | None:
    if look.is_overtaken:
        return Ending.OVERTAKEN
    verdict = watch.judge(look.report).verdict
    if verdict is Verdict.FAILED or (verdict is Verdict.PASSED and not watch.is_probation):
        return Ending.DECIDED
    if watch.is_probation and blind_since is not None and time.monotonic() - blind_since >= watch.grace_s:
        return Ending.OUT_OF_SIGHT
    return None if watch.left() else Ending.TIME_IS_UP
