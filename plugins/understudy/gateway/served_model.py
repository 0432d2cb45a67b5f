"""One model at this gateway: which versions are warm, which one answers, and how that changes."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import Any

from understudy.contract.break_glass import BreakGlassOrder, BrokenGlass, GlassAcknowledgement
from understudy.contract.canary_split import CanarySplit
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import Acknowledgement, PrepareOrder, ServingOrder, ServingTerms
from understudy.contract.train_spec import memory_bytes
from understudy.contract.words import Change, Role
from understudy.gateway.break_glass import Glasses
from understudy.gateway.canary import Arm, Trial, release
from understudy.gateway.channel import Channel, Spawn
from understudy.gateway.config import GatewayConfig
from understudy.gateway.errors import AnotherAnswers, FilesMissing, NoSuchVersion, NotServing, OrderStale, Overloaded
from understudy.gateway.exchange import Item, LogRow
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.mirror import Mirrored, MirrorQueue, is_sampled
from understudy.gateway.stores import Stores
from understudy.gateway.waiting import LiveQueue, Stamp, Waiting
from understudy.gateway.way_back import warm_up, way_back
from understudy.gateway.worker import Worker, WorkerStart

# Answers given just before a flip reach their sockets in microseconds; only a log on a slow disk holds them longer.
LEAVE_S = 1.0

OpenLog = Callable[[str, ServingTerms], PredictionLog]


class ServedModel:
    """Follow the orders for one model, and hand its requests to the version that the newest record names."""

    def __init__(self, name: str, config: GatewayConfig, spawn: Spawn, stores: Stores, open_log: OpenLog) -> None:
        self.name = name
        self.record: Deployment | None = None
        """The newest record that was ordered."""
        self.in_force: Deployment | None = None
        """The same as it takes effect: what was taken back by break-glass does not answer."""
        self.glasses = Glasses(name, stores.glasses)
        self.terms: ServingTerms | None = None
        self.log: PredictionLog | None = None
        self.problem: str | None = None
        """Why nothing is known of what should serve."""
        self.channels: dict[WorkerStart, Channel] = {}
        self.queue = LiveQueue()
        self.refused = 0
        """Requests that there was no room for, or nobody to answer."""
        self.timeout_s = 2.0
        self.is_strict = False
        """Whether an answer waits until it is on disk."""
        self._max_queue = 0
        self._config, self._store, self._open_log = config, stores.records, open_log
        self._spawn_worker = spawn
        self._front: Channel | None = None
        self._champion: Channel | None = None
        self._standby: Channel | None = None
        self._mirror: Channel | None = None
        self._share = 0.0
        self._trial: Trial | None = None
        self._prepared: WorkerStart | None = None
        self._wanted: Counter[WorkerStart] = Counter()
        self._commits = asyncio.Lock()
        self._is_forgotten = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def is_serving(self) -> bool:
        """Tell if somebody answers."""
        return self._front is not None

    @property
    def front(self) -> Channel | None:
        """The channel that answers."""
        return self._front

    @property
    def versions(self) -> list[int]:
        """Name the versions that callers may ask by number: the champion and the standby while they are warm."""
        return [c.bundle.version for c in (self._champion, self._standby) if c is not None and c.worker is not None]

    def channel_of(self, version: int) -> Channel:
        """Find a version that callers may ask by its number; a mirror answers nobody. Raise NoSuchVersion."""
        for channel in (self._champion, self._standby):
            if channel is not None and channel.bundle.version == version:
                return channel
        raise NoSuchVersion(self.name, version)

    def stamp_of(self, version: int | None) -> Stamp | None:
        """Say as what a version answers that was asked by its number; without one, whoever answers."""
        channel = self._front if version is None else self.channel_of(version)
        if channel is None:
            return None
        return channel.stamp if channel is self._front else channel.named_stamp

    def ask_version(self, item: Item, arrived_ns: int, version: int) -> Waiting:
        """Let a request wait for the answer of one version; NoSuchVersion, NotServing or Overloaded where it cannot."""
        channel = self.channel_of(version)
        if channel is self._front:
            return self.ask(item, arrived_ns)
        if channel.worker is None:
            self.refused += 1
            raise NotServing(self.name, channel.problem or f"version {version} is being loaded")
        if not channel.named.has_room(self._max_queue):
            self.refused += 1
            raise Overloaded(self.name, self._max_queue)
        waiting = Waiting(item, arrived_ns, self._loop.create_future(), is_named=True)
        channel.ask(waiting)
        return waiting

    @property
    def has_trial(self) -> bool:
        """Tell if callers have to be told apart."""
        return self._trial is not None

    def ask(self, item: Item, arrived_ns: int, key: str | None = None, *, is_loose: bool = False) -> Waiting:
        """Let a request wait for its answer. Raise NotServing or Overloaded.

        :param key: what assigns it to a side while a canary runs; without one, the champion answers.
        :param is_loose: whether the key is a name of this request alone.
        """
        front = self._front
        if front is None and not (self._champion is not None and self._champion.is_coming_back):
            self.refused += 1
            raise NotServing(self.name, self.why_not_serving())
        waiting = Waiting(item, arrived_ns, self._loop.create_future())
        if self._trial is not None and key is not None and self._trial.take(waiting, key, is_loose=is_loose):
            return waiting
        if not self.queue.has_room(self._max_queue):
            self.refused += 1
            raise Overloaded(self.name, self._max_queue)
        self.queue.put(waiting)
        if front is not None:
            front.wake()
        return waiting

    def mirror(self, row: LogRow) -> None:
        """Let the mirror answer a request that was answered, if it is one of its share."""
        mirror = self._mirror
        if mirror is None or row.answer is None or not is_sampled(row.request_id, self._share):
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

    def note(self, row: LogRow) -> "asyncio.Future[None] | None":
        """Log a row; see PredictionLog.append."""
        return None if self.log is None else self.log.append(row)

    def why_not_serving(self) -> str | None:
        """Say why nobody answers."""
        if self.glasses.unreadable is not None:
            return str(self.glasses.unreadable)
        if self._champion is None:
            return self.problem
        return self._champion.problem or f"version {self._champion.bundle.version} is being loaded"

    def role_of(self, channel: Channel) -> Role:
        """Say what a version is kept for."""
        if channel is self._champion:
            return Role.CHAMPION
        for role, tried in self._tried.items():
            if channel is tried:
                return role
        return Role.SHADOW if channel is self._mirror else Role.STANDBY

    async def prepare(self, order: PrepareOrder) -> None:
        """Load a version and keep it warm until the next record. Raise WorkerRefused or FilesMissing."""
        start = self._start_of(order.bundle, order.terms)
        self._wanted[start] += 1
        try:
            await self._ready(start, order.terms)
            self._prepared = start
        finally:
            self._wanted[start] -= 1
            self._drop_unnamed()

    async def apply(self, order: ServingOrder) -> Acknowledgement:
        """Serve a record; what it names is loaded first, so that a refused order changes nothing.

        Raise OrderStale, TakenBack, FilesMissing, WorkerRefused; OSError where the record cannot be persisted.
        """
        arrived = time.perf_counter()
        self._refuse_stale(order)
        self.glasses.refuse(order.record)
        is_repeated = (order.record, order.terms) == (self.record, self.terms)
        starts = [self._start_of(order.record.champion, order.terms)]
        if not is_repeated:
            if order.record.change is Change.MIRROR_STARTED and order.record.mirror is not None:
                starts.append(self._start_of(order.record.mirror, order.terms))
            starts += self._starts_of_trial(order.record, order.terms).values()
        self._wanted.update(starts)
        try:
            # Outside the lock: a rollback never waits for the load of the version that it takes back.
            await asyncio.gather(*(self._ready(start, order.terms) for start in starts))
            async with self._commits:
                self._refuse_forgotten()
                self._refuse_stale(order)
                self.glasses.refuse(order.record)
                if (order.record, order.terms) != (self.record, self.terms):
                    await asyncio.to_thread(self._store.save, self.name, order)
                    await self._serve(order)
                    await asyncio.to_thread(self.glasses.settle, order.record)
        finally:
            self._wanted.subtract(starts)
            self._drop_unnamed()
        return Acknowledgement(
            gateway=self._config.name,
            model=self.name,
            epoch=order.record.epoch,
            version=order.record.champion.version,
            flip_ms=_since_ms(arrived),
        )

    async def break_glass(self, order: BreakGlassOrder) -> GlassAcknowledgement:
        """Go back to the warm previous champion now; no restart and no order undoes it, and again changes nothing.

        Raise NotServing, AnotherAnswers, NoWayBack; OSError where it cannot be persisted. All of them change nothing.
        """
        arrived = time.perf_counter()
        await warm_up(self._standby)
        async with self._commits:
            self._refuse_forgotten()
            if self.record is None or self.terms is None or self.in_force is None:
                raise NotServing(self.name, self.why_not_serving())
            known = self.glasses.known(order, self.record)
            if known is not None:
                return GlassAcknowledgement(glass=known, is_repeated=True, flip_ms=_since_ms(arrived))
            if order.version not in {None, self.in_force.champion.version}:
                raise AnotherAnswers(self.name, self.in_force.champion.version, order.version or 0)
            glass = BrokenGlass(
                model=self.name,
                gateway=self._config.name,
                at=datetime.now(timezone.utc),
                actor=order.actor,
                reason=order.reason,
                epoch=self.record.epoch,
                taken_back=self.in_force.champion,
                target=way_back(self._standby, self.in_force.champion, self._config.bundles_dir / self.name),
            )
            await asyncio.to_thread(self.glasses.add, glass)
            await self._serve(ServingOrder(record=self.record, terms=self.terms))
        self._drop_unnamed()
        return GlassAcknowledgement(glass=glass, is_repeated=False, flip_ms=_since_ms(arrived))

    async def glass_reported(self, glass: BrokenGlass) -> None:
        """Take note that the ledger knows of a break-glass. Raise OSError."""
        async with self._commits:
            await asyncio.to_thread(self.glasses.reported, glass, self.record)

    def files_arrived(self, version: int) -> None:
        """Load a version whose files were missing."""
        for channel in (self._champion, self._standby, self._mirror, *self._tried.values()):
            if channel is not None and channel.bundle.version == version:
                channel.try_now()

    def restore(self, order: ServingOrder) -> None:
        """Serve a record that this gateway acknowledged before it was restarted, as soon as its version is loaded."""
        if self.glasses.unreadable is not None:
            self.problem = str(self.glasses.unreadable)
            return
        self._flip(order)

    async def forget(self) -> None:
        """Drop the record, then end; an order that is still being loaded for is refused. Raise OSError."""
        async with self._commits:
            await asyncio.to_thread(self._store.drop, self.name)
            self._is_forgotten = True
        await self.close()

    async def close(self) -> None:
        """End all processes, then write the log to its end."""
        await asyncio.gather(*(channel.close() for channel in self.channels.values()))
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.log is not None:
            await self.log.close()

    @property
    def _tried(self) -> dict[Role, Channel]:
        return {} if self._trial is None else self._trial.channels

    def _refuse_forgotten(self) -> None:
        if self._is_forgotten:
            raise NotServing(self.name, "it was forgotten here while the version was being loaded")

    def _refuse_stale(self, order: ServingOrder) -> None:
        served = self.record
        if served is None or order.record.epoch > served.epoch or order.record == served:
            return
        raise OrderStale(self.name, order.record.epoch, served.epoch)

    def _start_of(self, bundle: Bundle, terms: ServingTerms) -> WorkerStart:
        return WorkerStart(
            bundle=bundle,
            folder=str(self._config.bundle_dir(self.name, bundle.version)),
            memory_bytes=memory_bytes(terms.serving.memory),
            max_rows=terms.serving.max_rows,
            allow_pickle=terms.allow_pickle,
        )

    def _starts_of_trial(self, record: Deployment, terms: ServingTerms) -> dict[Role, WorkerStart]:
        if record.canary is None:
            return {}
        starts = {Role.CANARY: self._start_of(record.canary, terms)}
        if record.baseline_share > 0:
            # As new as the canary's process, so that neither side has the warmer caches.
            champion = self._start_of(record.champion, terms)
            starts[Role.BASELINE] = champion.model_copy(update={"is_copy": True})
        return starts

    async def _spawn(self, start: WorkerStart) -> Worker:
        if not self._config.bundle_dir(self.name, start.bundle.version).is_dir():
            raise FilesMissing(self.name, start.bundle.version)
        return await self._spawn_worker(start)

    async def _ready(self, start: WorkerStart, terms: ServingTerms) -> None:
        await self._channel(start, terms).until_ready()

    def _channel(self, start: WorkerStart, terms: ServingTerms) -> Channel:
        channel = self.channels.get(start)
        if channel is None:
            channel = self.channels[start] = Channel(
                start,
                self._spawn,
                queue=self.queue,
                mirrored=MirrorQueue(terms.serving.max_queue, self._config.max_mirror_bytes),
                note=self.note,
                on_change=self._choose_front,
            )
        return channel

    async def _serve(self, order: ServingOrder) -> None:
        before = [channel.stamp for channel in self.channels.values() if channel.stamp is not None]
        self._flip(order)
        deadline = self._loop.time() + LEAVE_S
        while any(stamp.leaving for stamp in before) and self._loop.time() < deadline:
            await asyncio.sleep(0.0005)

    def _flip(self, order: ServingOrder) -> None:
        record, terms = self.glasses.in_force(order.record), order.terms
        self._use_log(terms)
        old = self._champion
        champion = self._channel(self._start_of(record.champion, terms), terms)
        self._champion = champion
        self._standby = self._beside(champion, None if record.previous == record.canary else record.previous, terms)
        self._mirror = self._beside(champion, record.mirror, terms)
        self._share = record.mirror_share
        self.record, self.in_force, self.terms, self.problem = order.record, record, terms, None
        self._prepared = None
        self._max_queue, self.timeout_s = terms.serving.max_queue, terms.serving.timeout_ms / 1000
        self.is_strict = terms.serving.strict_log
        for channel in self.channels.values():
            channel.max_batch = terms.serving.max_batch
            channel.mirrored.max_count = terms.serving.max_queue
            channel.patience_s = max(self.timeout_s, 1.0)
            channel.is_expendable = channel is not champion
            if old is not champion and channel is not champion:
                self.queue.put_back(channel.give_back())
        if self._standby is not None:
            self._standby.stamp = Stamp(record.epoch, self._standby.bundle, Role.STANDBY)
            self._standby.named_stamp = Stamp(record.epoch, self._standby.bundle, Role.ASKED)
        champion.stamp = champion.named_stamp = Stamp(record.epoch, champion.bundle, Role.CHAMPION)
        self._try(champion, record, terms)
        for named in (champion, self._standby, self._mirror, *self._tried.values()):
            if named is not None:
                named.keep()
        self._choose_front()

    def _try(self, champion: Channel, record: Deployment, terms: ServingTerms) -> None:
        """Begin, go on with or end what is tried on a share of the callers."""
        starts = self._starts_of_trial(record, terms)
        tried = {role: self._channel(start, terms) for role, start in starts.items()}
        for channel in self.channels.values():
            if channel not in tried.values():
                release(channel, self.queue, is_champion=channel is champion)
        self._trial = None
        if record.canary is not None:
            arms = {
                role: Arm(channel, Stamp(record.epoch, channel.bundle, role), self.queue, self._wake_front)
                for role, channel in tried.items()
            }
            split = CanarySplit(record.model, record.canary.version, record.canary_share)
            canary, baseline = arms[Role.CANARY], arms.get(Role.BASELINE)
            self._trial = Trial(split, canary, baseline, self._max_queue, self.timeout_s)

    def _wake_front(self) -> None:
        if self._front is not None:
            self._front.wake()

    def _beside(self, champion: Channel, bundle: Bundle | None, terms: ServingTerms) -> Channel | None:
        if bundle is None or bundle.version == champion.bundle.version:
            return None
        return self._channel(self._start_of(bundle, terms), terms)

    def _choose_front(self) -> None:
        alive = [c for c in (self._champion, self._standby) if c is not None and c.worker is not None]
        self._front = alive[0] if alive else None
        tried = self._tried.values()
        for channel in self.channels.values():
            channel.is_front = channel is self._front or channel in tried
        if self._trial is not None:
            self._trial.look_after()
        self._wake_front()

    def _use_log(self, terms: ServingTerms) -> None:
        old = self.log
        if old is not None and self.terms is not None and _log_terms(terms) == _log_terms(self.terms):
            return
        self.log = self._open_log(self.name, terms)
        if old is not None:
            self._later(old.close())

    def _drop_unnamed(self) -> None:
        named = {self._champion, self._standby, self._mirror, *self._tried.values()}
        for start, channel in list(self.channels.items()):
            if channel not in named and start != self._prepared and not self._wanted[start]:
                del self.channels[start]
                self._later(channel.close())

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _since_ms(arrived: float) -> float:
    return round((time.perf_counter() - arrived) * 1000, 3)


def _log_terms(terms: ServingTerms) -> tuple[object, ...]:
    serving = terms.serving
    return terms.pii, serving.strict_log, serving.keep_log, serving.max_log
