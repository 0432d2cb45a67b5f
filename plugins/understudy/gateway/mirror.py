"""The copies of live requests that a version answers unseen: sampled, bounded, and counted where they are lost."""

import time
import zlib
from collections import deque
from typing import NamedTuple

from understudy.contract.release import Bundle
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.exchange import Answer, Item, LogRow

TIMED_SHARE = 0.1
"""Of how many copies at least the scoring times can be compared with the champion's."""
# Nobody waits for copies: a pause lets the live requests of a burst go first, and fewer, larger frames cost less.
LINGER_NS = 20_000_000


def is_sampled(request_id: str, share: float) -> bool:
    """Tell if a request is mirrored; the same identifier always gives the same answer."""
    return share >= 1.0 or zlib.crc32(request_id.encode()) < share * 0x1_0000_0000


class Mirrored(NamedTuple):
    """Hold the copy of a request that the champion has answered."""

    request_id: str
    client_id: str | None
    ts_ns: int
    epoch: int
    item: Item
    arrived_ns: int
    champion_failed: bool
    batch: int
    """How many requests the champion scored together with this one."""

    def row(
        self, bundle: Bundle, answer: Answer | None, loss: MirrorLoss | None, taken_ns: int, done_ns: int
    ) -> LogRow:
        """Write what is logged of it."""
        if answer is not None and answer.error is not None and not self.champion_failed:
            loss = MirrorLoss.FAILED
        return LogRow(
            request_id=self.request_id,
            client_id=self.client_id,
            ts_ns=self.ts_ns,
            epoch=self.epoch,
            role=Role.SHADOW,
            bundle=bundle,
            item=self.item,
            answer=answer,
            loss=loss,
            queue_us=(taken_ns - self.arrived_ns) // 1000,
            total_us=(done_ns - self.arrived_ns) // 1000,
        )


class MirrorQueue:
    """Hold copies that wait for a mirror, bounded by count and bytes."""

    __slots__ = ("_bytes", "_copies", "_taken", "_timed", "max_bytes", "max_count")

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self.max_count, self.max_bytes = max_count, max_bytes
        self._copies: deque[Mirrored] = deque()
        self._bytes = self._taken = self._timed = 0

    def __len__(self) -> int:
        return len(self._copies)

    def put(self, copy: Mirrored) -> bool:
        """Add a copy; False where there is no room."""
        size = len(copy.item.body)
        if len(self._copies) >= self.max_count or self._bytes + size > self.max_bytes:
            return False
        self._copies.append(copy)
        self._bytes += size
        return True

    def pause_s(self, frame: int) -> float | None:
        """Say how long to wait for more copies; 0 where they should be scored now, None where there are none."""
        if not self._copies:
            return None
        if len(self._copies) >= min(frame, self.max_count):
            return 0.0
        return max(self._copies[0].arrived_ns + LINGER_NS - time.perf_counter_ns(), 0) / 1e9

    def take(self, most: int) -> list[Mirrored]:
        """Take the oldest copies, at most so many: now and then as many together as the champion had.

        Only those have times that can be compared; all others are scored in larger frames, which cost the machine less.
        """
        if not self._copies:
            return []
        count = min(self._copies[0].batch, most, len(self._copies))
        if self._timed > TIMED_SHARE * self._taken:
            count = min(most, len(self._copies))
        else:
            self._timed += count
        self._taken += count
        return self._take(count)

    def take_all(self) -> list[Mirrored]:
        """Take what is left."""
        return self._take(len(self._copies))

    def _take(self, count: int) -> list[Mirrored]:
        batch = [self._copies.popleft() for _ in range(count)]
        self._bytes -= sum(len(copy.item.body) for copy in batch)
        return batch
