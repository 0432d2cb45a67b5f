"""The versions of one model that are warm at this gateway, and what each is there for."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from understudy.contract.canary_split import CanarySplit
from understudy.contract.declaration.train import memory_bytes
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change, Role
from understudy.gateway.canary import Arm, Trial, release
from understudy.gateway.channel import Channel, Spawn
from understudy.gateway.config import GatewayConfig
from understudy.gateway.errands import Errands
from understudy.gateway.errors import FilesMissing, NoSuchVersion
from understudy.gateway.exchange import LogRow
from understudy.gateway.mirror import MirrorQueue
from understudy.gateway.waiting import LiveQueue, Stamp
from understudy.gateway.worker import Worker, WorkerStart


class Lineup:
    """Hold a channel for each version, and choose who answers."""

    def __init__(self, model: str, config: GatewayConfig, spawn: Spawn, note: Callable[[LogRow], object]) -> None:
        self.channels: dict[WorkerStart, Channel] = {}
        self.queue = LiveQueue()
        self.champion: Channel | None = None
        self.standby: Channel | None = None
        self.mirror: Channel | None = None
        self.mirror_share = 0.0
        self.trial: Trial | None = None
        self.front: Channel | None = None
        """The channel that answers."""
        self.max_queue = 0
        self.timeout_s = 2.0
        self._model, self._config, self._spawn_worker, self._note = model, config, spawn, note
        self._prepared: WorkerStart | None = None
        self._wanted: Counter[WorkerStart] = Counter()
        self._errands = Errands()

    @property
    def versions(self) -> list[int]:
        """Name the versions that callers may ask by number: the champion and the standby while they are warm."""
        return [c.bundle.version for c in (self.champion, self.standby) if c is not None and c.worker is not None]

    def channel_of(self, version: int) -> Channel:
        """Find a version that callers may ask by its number; a mirror answers nobody. Raise NoSuchVersion."""
        for channel in (self.champion, self.standby):
            if channel is not None and channel.bundle.version == version:
                return channel
        raise NoSuchVersion(self._model, version)

    def role_of(self, channel: Channel) -> Role:
        """Say what a version is kept for."""
        if channel is self.champion:
            return Role.CHAMPION
        for role, tried in self._tried.items():
            if channel is tried:
                return role
        return Role.SHADOW if channel is self.mirror else Role.STANDBY

    def start_of(self, bundle: Bundle, terms: ServingTerms) -> WorkerStart:
        """Say how the process of a version is started."""
        return WorkerStart(
            bundle=bundle,
            folder=str(self._config.bundle_dir(self._model, bundle.version)),
            memory_bytes=memory_bytes(terms.serving.memory),
            max_rows=terms.serving.max_rows,
            allow_pickle=terms.allow_pickle,
        )

    def starts_before(self, record: Deployment, terms: ServingTerms) -> list[WorkerStart]:
        """Name the processes that have to be up before a record that is new here may take effect."""
        starts = [self.start_of(record.champion, terms)]
        if record.change is Change.MIRROR_STARTED and record.mirror is not None:
            starts.append(self.start_of(record.mirror, terms))
        return [*starts, *self._starts_of_trial(record, terms).values()]

    async def ready(self, start: WorkerStart, terms: ServingTerms) -> None:
        """Load a version if it is not warm yet. Raise WorkerRefused or FilesMissing."""
        await self._channel(start, terms).until_ready()

    @contextmanager
    def keeping(self, starts: Sequence[WorkerStart]) -> Iterator[None]:
        """Keep processes that no record names yet; afterwards, end all that nothing needs."""
        self._wanted.update(starts)
        try:
            yield
        finally:
            self._wanted.subtract(starts)
            self.drop_unnamed()

    def keep_until_change(self, start: WorkerStart) -> None:
        """Keep a process until the next record, whether that names it or not."""
        self._prepared = start

    def change(self, record: Deployment, terms: ServingTerms) -> None:
        """Give each version the part that a record gives it; the champion answers from here on."""
        old = self.champion
        champion = self._channel(self.start_of(record.champion, terms), terms)
        self.champion = champion
        self.standby = self._beside(champion, None if record.previous == record.canary else record.previous, terms)
        self.mirror = self._beside(champion, record.mirror, terms)
        self.mirror_share = record.mirror_share
        self._prepared = None
        self.max_queue, self.timeout_s = terms.serving.max_queue, terms.serving.timeout_ms / 1000
        for channel in self.channels.values():
            channel.max_batch = terms.serving.max_batch
            channel.mirrored.max_count = terms.serving.max_queue
            channel.patience_s = max(self.timeout_s, 1.0)
            channel.is_expendable = channel is not champion
            if old is not champion and channel is not champion:
                self.queue.put_back(channel.give_back())
        if self.standby is not None:
            self.standby.stamp = Stamp(record.epoch, self.standby.bundle, Role.STANDBY)
            self.standby.named_stamp = Stamp(record.epoch, self.standby.bundle, Role.ASKED)
        champion.stamp = champion.named_stamp = Stamp(record.epoch, champion.bundle, Role.CHAMPION)
        self._try(champion, record, terms)
        for named in (champion, self.standby, self.mirror, *self._tried.values()):
            if named is not None:
                named.keep()
        self._choose_front()

    def files_arrived(self, version: int) -> None:
        """Load a version whose files were missing."""
        for channel in (self.champion, self.standby, self.mirror, *self._tried.values()):
            if channel is not None and channel.bundle.version == version:
                channel.try_now()

    def drop_unnamed(self) -> None:
        """End the processes that nothing needs any more."""
        named = {self.champion, self.standby, self.mirror, *self._tried.values()}
        for start, channel in list(self.channels.items()):
            if channel not in named and start != self._prepared and not self._wanted[start]:
                del self.channels[start]
                self._errands.begin(channel.close())

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*(channel.close() for channel in self.channels.values()))
        await self._errands.finish()

    @property
    def _tried(self) -> dict[Role, Channel]:
        return {} if self.trial is None else self.trial.channels

    def _starts_of_trial(self, record: Deployment, terms: ServingTerms) -> dict[Role, WorkerStart]:
        if record.canary is None:
            return {}
        starts = {Role.CANARY: self.start_of(record.canary, terms)}
        if record.baseline_share > 0:
            # As new as the canary's process, so that neither side has the warmer caches.
            champion = self.start_of(record.champion, terms)
            starts[Role.BASELINE] = champion.model_copy(update={"is_copy": True})
        return starts

    async def _spawn(self, start: WorkerStart) -> Worker:
        if not self._config.bundle_dir(self._model, start.bundle.version).is_dir():
            raise FilesMissing(self._model, start.bundle.version)
        return await self._spawn_worker(start)

    def _channel(self, start: WorkerStart, terms: ServingTerms) -> Channel:
        channel = self.channels.get(start)
        if channel is None:
            channel = self.channels[start] = Channel(
                start,
                self._spawn,
                queue=self.queue,
                mirrored=MirrorQueue(terms.serving.max_queue, self._config.max_mirror_bytes),
                note=self._note,
                on_change=self._choose_front,
            )
        return channel

    def _try(self, champion: Channel, record: Deployment, terms: ServingTerms) -> None:
        """Begin, go on with or end what is tried on a share of the callers."""
        starts = self._starts_of_trial(record, terms)
        tried = {role: self._channel(start, terms) for role, start in starts.items()}
        for channel in self.channels.values():
            if channel not in tried.values():
                release(channel, self.queue, is_champion=channel is champion)
        self.trial = None
        if record.canary is not None:
            arms = {
                role: Arm(channel, Stamp(record.epoch, channel.bundle, role), self.queue, self._wake_front)
                for role, channel in tried.items()
            }
            split = CanarySplit(record.model, record.canary.version, record.canary_share)
            canary, baseline = arms[Role.CANARY], arms.get(Role.BASELINE)
            self.trial = Trial(split, canary, baseline, self.max_queue, self.timeout_s)

    def _wake_front(self) -> None:
        if self.front is not None:
            self.front.wake()

    def _beside(self, champion: Channel, bundle: Bundle | None, terms: ServingTerms) -> Channel | None:
        if bundle is None or bundle.version == champion.bundle.version:
            return None
        return self._channel(self.start_of(bundle, terms), terms)

    def _choose_front(self) -> None:
        alive = [c for c in (self.champion, self.standby) if c is not None and c.worker is not None]
        self.front = alive[0] if alive else None
        tried = self._tried.values()
        for channel in self.channels.values():
            channel.is_front = channel is self.front or channel in tried
        if self.trial is not None:
            self.trial.look_after()
        self._wake_front()
