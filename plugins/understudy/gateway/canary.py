"""A challenger and a fresh copy of the champion, each with its share of the callers; the champion answers for both.

A caller never pays for what is tried: whatever an arm cannot answer (its process is gone, hangs, or has too much to do,
or its answer is an error), the champion answers, and the loss is counted against the arm.
"""

import asyncio
from collections.abc import Callable

from understudy.contract.canary_split import CanarySplit
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.channel import Channel
from understudy.gateway.exchange import Answer
from understudy.gateway.waiting import LiveQueue, Lost, Stamp, Waiting

PATIENCE_SHARE = 0.5
"""The share of a request's time that an arm may take; the champion needs the rest where it has to help out."""


class Arm:
    """One side: a channel that answers its own callers, and whose losses the champion makes good."""

    def __init__(self, channel: Channel, stamp: Stamp, home: LiveQueue, wake: Callable[[], None]) -> None:
        self.channel = channel
        self._home, self._wake = home, wake
        if channel.fall_back is None:
            channel.queue = LiveQueue()
        channel.fall_back = self._lose
        channel.stamp = stamp

    def take(self, waiting: Waiting, limit: int, patience_s: float) -> bool:
        """Let a request wait for this side; False where the champion has to answer it."""
        channel = self.channel
        waiting.arm = channel
        if channel.worker is None or not channel.queue.has_room(limit):
            self._note(waiting, MirrorLoss.DOWN if channel.worker is None else MirrorLoss.QUEUE_FULL, None)
            return False
        waiting.timer = asyncio.get_running_loop().call_later(patience_s, self._withdraw, waiting)
        channel.queue.put(waiting)
        channel.wake()
        return True

    def look_after(self) -> None:
        """Hand over what waits for a process that is gone."""
        if self.channel.worker is None:
            for waiting in reversed(self.channel.queue.take_all()):
                self._lose(waiting, MirrorLoss.DOWN, None)

    def _withdraw(self, waiting: Waiting) -> None:
        if waiting.arm is self.channel and not waiting.future.done():
            self.channel.queue.withdraw(waiting)
            self._lose(waiting, MirrorLoss.TIMEOUT, None)

    def _lose(self, waiting: Waiting, loss: MirrorLoss, answer: Answer | None) -> None:
        self._note(waiting, loss, answer)
        self._home.put_back([waiting])
        self._wake()

    def _note(self, waiting: Waiting, loss: MirrorLoss, answer: Answer | None) -> None:
        waiting.cancel_timer()
        if self.channel.stamp is not None:
            waiting.lost = Lost(self.channel.stamp, waiting.unit, loss, answer)
        waiting.arm = None


class Trial:
    """Give each caller to the side that its key belongs to."""

    def __init__(self, split: CanarySplit, canary: Arm, baseline: Arm | None, limit: int, timeout_s: float) -> None:
        self._split = split
        self._arms = {Role.CANARY: canary} if baseline is None else {Role.CANARY: canary, Role.BASELINE: baseline}
        self._limit, self._patience_s = limit, timeout_s * PATIENCE_SHARE
        for arm in self._arms.values():
            arm.channel.patience_s = self._patience_s

    @property
    def channels(self) -> dict[Role, Channel]:
        """The channels of both sides."""
        return {role: arm.channel for role, arm in self._arms.items()}

    def take(self, waiting: Waiting, key: str, *, is_loose: bool) -> bool:
        """Let a request wait for its side; False where the champion has to answer it.

        :param is_loose: whether the key is a name of this request alone.
        """
        role, unit = self._split.assign(key)
        arm = self._arms.get(role)
        if arm is None:
            return False
        waiting.unit = None if is_loose else unit
        return arm.take(waiting, self._limit, self._patience_s)

    def look_after(self) -> None:
        """Hand over what waits for processes that are gone."""
        for arm in self._arms.values():
            arm.look_after()


def release(channel: Channel, home: LiveQueue, *, is_champion: bool) -> None:
    """End a channel's part in a trial: what waits for it, the champion answers, and nobody counts it as lost."""
    if channel.fall_back is None:
        return
    channel.fall_back = None
    left = channel.queue.take_all()
    channel.queue = home
    if not is_champion:
        left += channel.give_back()
    home.put_back(left)
