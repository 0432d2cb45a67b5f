"""The requests of one model on their way in: each waits for whoever is to answer it, or is turned away."""

import asyncio
import time
from collections.abc import Callable

from understudy.gateway.errors import NotServing, Overloaded
from understudy.gateway.exchange import Item, LogRow
from understudy.gateway.lineup import Lineup
from understudy.gateway.mirror import Mirrored, is_sampled
from understudy.gateway.waiting import Stamp, Waiting


class Intake:
    """Let requests wait for the version that the newest record names, and give the mirror its copies.

    :param why_not_serving: says why nobody answers.
    """

    def __init__(self, model: str, lineup: Lineup, why_not_serving: Callable[[], str | None]) -> None:
        self.refused = 0
        """Requests that there was no room for, or nobody to answer."""
        self._model, self._lineup, self._why_not_serving = model, lineup, why_not_serving
        self._loop = asyncio.get_running_loop()

    @property
    def has_trial(self) -> bool:
        """Tell if callers have to be told apart."""
        return self._lineup.trial is not None

    def stamp_of(self, version: int | None) -> Stamp | None:
        """Say as what a version answers that was asked by its number; without one, whoever answers."""
        front = self._lineup.front
        channel = front if version is None else self._lineup.channel_of(version)
        if channel is None:
            return None
        return channel.stamp if channel is front else channel.named_stamp

    def ask(self, item: Item, arrived_ns: int, key: str | None = None, *, is_loose: bool = False) -> Waiting:
        """Let a request wait for its answer. Raise NotServing or Overloaded.

        :param key: what assigns it to a side while a canary runs; without one, the champion answers.
        :param is_loose: whether the key is a name of this request alone.
        """
        lineup = self._lineup
        front = lineup.front
        if front is None and not (lineup.champion is not None and lineup.champion.is_coming_back):
            self.refused += 1
            raise NotServing(self._model, self._why_not_serving())
        waiting = Waiting(item, arrived_ns, self._loop.create_future())
        if lineup.trial is not None and key is not None and lineup.trial.take(waiting, key, is_loose=is_loose):
            return waiting
        if not lineup.queue.has_room(lineup.max_queue):
            self.refused += 1
            raise Overloaded(self._model, lineup.max_queue)
        lineup.queue.put(waiting)
        if front is not None:
            front.wake()
        return waiting

    def ask_version(self, item: Item, arrived_ns: int, version: int) -> Waiting:
        """Let a request wait for the answer of one version; NoSuchVersion, NotServing or Overloaded where it cannot."""
        lineup = self._lineup
        channel = lineup.channel_of(version)
        if channel is lineup.front:
            return self.ask(item, arrived_ns)
        if channel.worker is None:
            self.refused += 1
            raise NotServing(self._model, channel.problem or f"version {version} is being loaded")
        if not channel.named.has_room(lineup.max_queue):
            self.refused += 1
            raise Overloaded(self._model, lineup.max_queue)
        waiting = Waiting(item, arrived_ns, self._loop.create_future(), is_named=True)
        channel.ask(waiting)
        return waiting

    def mirror(self, row: LogRow) -> None:
        """Let the mirror answer a request that was answered, if it is one of its share."""
        mirror = self._lineup.mirror
        if mirror is None or row.answer is None or not is_sampled(row.request_id, self._lineup.mirror_share):
            return
        # The mirror stood in for the champion: it has answered, and there is nobody to compare it with.
        if row.bundle is mirror.bundle:
            return
        mirror.mirror(
            Mirrored(
                request_id=row.request_id,
                client_id=row.client_id,
                ts_ns=row.ts_ns,
                epoch=row.epoch,
                item=row.item,
                arrived_ns=time.perf_counter_ns(),
                champion_failed=row.answer.error is not None,
                batch=max(row.answer.batch, 1),
            )
        )
