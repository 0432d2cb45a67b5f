"""Wait, without a worker, until live traffic has decided about a version."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.live.canary_report import CanaryReport
from understudy.contract.serving import RehearsalReport
from understudy.operators.settle import settle

KILLED = "a person ended the task that watched"


class Watched(Protocol):
    """What a trigger has to know of a watch."""

    @property
    def poll_s(self) -> float:
        """How many seconds to wait between two looks."""

    def left(self) -> timedelta:
        """How much of the time is left."""


W = TypeVar("W", bound=Watched)


class Look(NamedTuple):
    """Hold what one look found."""

    report: RehearsalReport | CanaryReport | None
    problem: str | None = None
    is_overtaken: bool = False
    is_blind: bool = False
    """The gateways could not be asked, or the version that callers depend on cannot answer them."""


class LiveTrigger(BaseTrigger, Generic[W]):
    """Look at the gateways' reports until they decide, the time is up, or the comparison is over; then say so.

    A user's kill ends what is watched; a triggerer that stops does not, because another one goes on.

    :param watch: what to watch, as JSON; it holds no secret.
    """

    def __init__(self, watch: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watch = watch

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Say how another triggerer makes the same trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"watch": self.watch}

    @abstractmethod
    def read(self) -> W:
        """Read the watch."""

    @abstractmethod
    def look(self, watch: W) -> Look:
        """Ask how it goes; it blocks."""

    @abstractmethod
    def seen(self, watch: W, look: Look, report: Any, blind_s: float | None) -> Fact | None:
        """Say how the watch ended, if it did."""

    @abstractmethod
    def end(self, watch: W, actor: str, reason: str) -> None:
        """End what is watched; it blocks."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield once, with what was seen."""
        started, watch = time.monotonic(), self.read()
        report, blind_since = None, None
        while True:
            began = time.monotonic()
            look = await asyncio.to_thread(self.look, watch)
            report = look.report or report
            blind_since = (blind_since or began) if look.is_blind else None
            seen = self.seen(watch, look, report, None if blind_since is None else time.monotonic() - blind_since)
            if seen is not None:
                await settle(started)
                yield TriggerEvent(seen.model_dump(mode="json"))
                return
            if look.problem:
                self.log.warning("%s; looking again", look.problem)
            await asyncio.sleep(min(watch.poll_s, watch.left().total_seconds()))

    async def on_kill(self) -> None:
        """End what nobody watches any more."""
        try:
            await asyncio.to_thread(self.end, self.read(), "airflow", KILLED)
        except UnderstudyError as problem:
            self.log.warning("it is left to housekeeping: %s", problem)
