"""Requests that wait for an answer, and what the answer says of who gave it."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from understudy.contract.release import Bundle
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.exchange import Answer, Item


class Stamp:
    """Say as what a version answers, from one flip to the next."""

    __slots__ = ("bundle", "epoch", "headers", "leaving", "role")

    def __init__(self, epoch: int, bundle: Bundle, role: Role) -> None:
        self.epoch, self.bundle, self.role = epoch, bundle, role
        self.leaving = 0
        """Answers given that the callers may not have yet."""
        self.headers = (
            (b"x-understudy-version", str(bundle.version).encode()),
            (b"x-understudy-epoch", str(epoch).encode()),
            (b"x-understudy-role", role.value.encode()),
        )


class Answered(NamedTuple):
    """Hold an answer and who gave it."""

    answer: Answer
    stamp: Stamp
    queue_us: int


class Lost(NamedTuple):
    """Say which version should have answered a request that the champion had to answer."""

    stamp: Stamp
    unit: str | None
    loss: MirrorLoss
    answer: Answer | None
    """The error that it answered with, where it did."""


class Waiting:
    """Hold one live request until it is answered; None as the answer means that its time ran out."""

    __slots__ = ("arm", "arrived_ns", "at", "attempts", "future", "is_named", "item", "lost", "timer", "unit")

    def __init__(
        self, item: Item, arrived_ns: int, future: "asyncio.Future[Answered | None]", *, is_named: bool = False
    ) -> None:
        self.item, self.arrived_ns, self.future = item, arrived_ns, future
        self.is_named = is_named
        """Whether one version was asked by its number, so that no other may answer."""
        self.attempts = 0
        """How many processes died over it."""
        self.at: object = None
        """The channel that scores it now."""
        self.arm: object = None
        """The canary or the baseline that is to answer it, and no other."""
        self.unit: str | None = None
        """The digest of the caller's key, where it is assigned by one."""
        self.lost: Lost | None = None
        self.timer: asyncio.TimerHandle | None = None
        """Gives it to the champion, where its arm takes too long."""

    def expire(self) -> None:
        """Stop waiting."""
        self.cancel_timer()
        if not self.future.done():
            self.future.set_result(None)

    def cancel_timer(self) -> None:
        """Leave it where it is."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class LiveQueue:
    """Hold a model's live requests in the order of their arrival; whoever answers for the model takes from here."""

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        self._requests: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    def has_room(self, limit: int) -> bool:
        """Tell if one more may wait; those that nobody waits for any more make room."""
        requests = self._requests
        while len(requests) >= limit and requests[0].future.done():
            requests.popleft()
        return len(requests) < limit

    def put(self, waiting: Waiting) -> None:
        """Add the newest request."""
        self._requests.append(waiting)

    def put_back(self, taken: Iterable[Waiting]) -> None:
        """Return requests that were taken before those that wait; the oldest is next."""
        for waiting in sorted(taken, key=lambda w: w.arrived_ns, reverse=True):
            waiting.cancel_timer()
            waiting.at = waiting.arm = None
            if not waiting.future.done():
                self._requests.appendleft(waiting)

    def take(self, most: int) -> list[Waiting]:
        """Take the oldest requests. One that a process died over goes alone, so that it can harm no other."""
        requests = self._requests
        batch: list[Waiting] = []
        while requests and len(batch) < most:
            if requests[0].future.done():
                requests.popleft()
            elif not requests[0].attempts:
                batch.append(requests.popleft())
            else:
                return batch or [requests.popleft()]
        return batch

    def withdraw(self, waiting: Waiting) -> None:
        """Remove a request that waits here, if it does."""
        with suppress(ValueError):
            self._requests.remove(waiting)

    def take_all(self) -> list[Waiting]:
        """Take what is left."""
        left = list(self._requests)
        self._requests.clear()
        return left
