"""One model at this gateway: the orders that it follows, one after the other."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timezone

from understudy.contract.break_glass import BreakGlassOrder, BrokenGlass, GlassAcknowledgement
from understudy.contract.canary_lease import CanaryLapse
from understudy.contract.release import Deployment
from understudy.contract.serving import Acknowledgement, PrepareOrder, ServingOrder, ServingTerms
from understudy.gateway.break_glass import Glasses
from understudy.gateway.canary_lease import CanaryLease, KeptOrder
from understudy.gateway.channel import Spawn
from understudy.gateway.config import GatewayConfig
from understudy.gateway.errands import Errands
from understudy.gateway.errors import AnotherAnswers, NotServing, OrderStale
from understudy.gateway.exchange import LogRow
from understudy.gateway.intake import Intake
from understudy.gateway.lineup import Lineup
from understudy.gateway.log.label_accounts import Counted
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.stores import Stores
from understudy.gateway.traffic import Traffic
from understudy.gateway.way_back import warm_up, way_back

LOG = logging.getLogger(__name__)
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
        """The same as it takes effect: what was taken back by break-glass, or has lost its lease, does not answer."""
        self.glasses = Glasses(name, stores.glasses)
        self.lease = CanaryLease(name, config.name)
        self.terms: ServingTerms | None = None
        self.log: PredictionLog | None = None
        self.labels: Counted | None = None
        """What became of the labels, as last counted."""
        self.problem: str | None = None
        """Why nothing is known of what should serve."""
        self.traffic = Traffic()
        self.lineup = Lineup(name, config, spawn, self.note)
        self.intake = Intake(name, self.lineup, self.why_not_serving)
        self._config, self._store, self._open_log = config, stores.records, open_log
        self._commits = asyncio.Lock()
        self._is_forgotten = False
        self._errands = Errands()

    @property
    def is_serving(self) -> bool:
        """Tell if somebody answers."""
        return self.lineup.front is not None

    @property
    def is_strict(self) -> bool:
        """Tell if an answer waits until it is on disk."""
        return self.terms is not None and self.terms.serving.strict_log

    def note(self, row: LogRow) -> "asyncio.Future[None] | None":
        """Count a row and log it; see PredictionLog.append."""
        self.traffic.note(row)
        return None if self.log is None else self.log.append(row)

    def why_not_serving(self) -> str | None:
        """Say why nobody answers."""
        if self.glasses.unreadable is not None:
            return str(self.glasses.unreadable)
        champion = self.lineup.champion
        if champion is None:
            return self.problem
        return champion.problem or f"version {champion.bundle.version} is being loaded"

    async def prepare(self, order: PrepareOrder) -> None:
        """Load a version and keep it warm until the next record. Raise WorkerRefused or FilesMissing."""
        start = self.lineup.start_of(order.bundle, order.terms)
        with self.lineup.keeping([start]):
            await self.lineup.ready(start, order.terms)
            self.lineup.keep_until_change(start)

    async def apply(self, order: ServingOrder) -> Acknowledgement:
        """Serve a record; what it names is loaded first, so that a refused order changes nothing.

        Raise OrderStale, TakenBack, FilesMissing, WorkerRefused; OSError where the record cannot be persisted.
        """
        arrived = time.perf_counter()
        self._refuse_stale(order)
        self.glasses.refuse(order.record)
        is_repeated = (order.record, order.terms) == (self.record, self.terms)
        starts = (
            [self.lineup.start_of(order.record.champion, order.terms)]
            if is_repeated
            else self.lineup.starts_before(order.record, order.terms)
        )
        with self.lineup.keeping(starts):
            # Outside the lock: a rollback never waits for the load of the version that it takes back.
            await asyncio.gather(*(self.lineup.ready(start, order.terms) for start in starts))
            async with self._commits:
                self._refuse_forgotten()
                self._refuse_stale(order)
                self.glasses.refuse(order.record)
                if (order.record, order.terms) != (self.record, self.terms):
                    kept = self.lease.of(order)
                    await asyncio.to_thread(self._store.save, self.name, kept)
                    self.lease.follow(kept)
                    await self._serve(order)
                    await asyncio.to_thread(self.glasses.settle, order.record)
        self.renew_lease(order.record.epoch)
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
        await warm_up(self.lineup.standby)
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
                target=way_back(self.lineup.standby, self.in_force.champion, self._config.bundles_dir / self.name),
            )
            await asyncio.to_thread(self.glasses.add, glass)
            await self._serve(ServingOrder(record=self.record, terms=self.terms))
        self.lineup.drop_unnamed()
        return GlassAcknowledgement(glass=glass, is_repeated=False, flip_ms=_since_ms(arrived))

    async def glass_reported(self, glass: BrokenGlass) -> None:
        """Take note that the ledger knows of a break-glass. Raise OSError."""
        async with self._commits:
            await asyncio.to_thread(self.glasses.reported, glass, self.record)

    def renew_lease(self, epoch: int) -> None:
        """Let the canary of a record answer on: somebody is here who could end it."""
        self.lease.renew(epoch)
        if self.lease.is_unsaved:
            self._errands.begin(self._save_lease())

    def look_after_lease(self) -> None:
        """Begin to give a canary's callers back to the champion where nobody came by in time."""
        if self.lease.has_run_out and self.in_force is not None and self.in_force.canary is not None:
            self._errands.begin(self._end_canary())

    async def lapse_reported(self, lapse: CanaryLapse) -> None:
        """Take note that the ledger knows of a canary that ended here by itself. Raise OSError."""
        async with self._commits:
            self.lease.reported(lapse)
            await self._save()

    def restore(self, order: KeptOrder) -> None:
        """Serve a record that this gateway acknowledged before it was restarted, as soon as its version is loaded."""
        if self.glasses.unreadable is not None:
            self.problem = str(self.glasses.unreadable)
            return
        self.lease.follow(order)
        self._flip(order)

    async def forget(self) -> None:
        """Drop the record, then end; an order that is still being loaded for is refused. Raise OSError."""
        async with self._commits:
            await asyncio.to_thread(self._store.drop, self.name)
            self._is_forgotten = True
        await self.close()

    async def close(self) -> None:
        """End all processes, then write the log to its end."""
        await self.lineup.close()
        await self._errands.finish()
        if self.log is not None:
            await self.log.close()

    def _refuse_forgotten(self) -> None:
        if self._is_forgotten:
            raise NotServing(self.name, "it was forgotten here while the version was being loaded")

    def _refuse_stale(self, order: ServingOrder) -> None:
        served = self.record
        if served is None or order.record.epoch > served.epoch or order.record == served:
            return
        raise OrderStale(self.name, order.record.epoch, served.epoch)

    async def _end_canary(self) -> None:
        async with self._commits:
            if self._is_forgotten or self.record is None or self.terms is None or not self.lease.has_run_out:
                return
            self.lease.lapse(self.record)
            # Callers before the disk: a restart finds the lease run out in any case.
            await self._serve(ServingOrder(record=self.record, terms=self.terms))
            LOG.warning("%s", self.lease.lapses[-1].sentence)
            await self._try_to_save()
        self.lineup.drop_unnamed()

    async def _save_lease(self) -> None:
        async with self._commits:
            if self.lease.is_unsaved:
                await self._try_to_save()

    async def _try_to_save(self) -> None:
        try:
            await self._save()
        except OSError as failed:  # a restart finds less of the lease than there is, never more
            LOG.warning("%s: the canary's lease could not be written: %s", self.name, failed)

    async def _save(self) -> None:
        if self._is_forgotten or self.record is None or self.terms is None:
            return
        kept = self.lease.of(ServingOrder(record=self.record, terms=self.terms))
        await asyncio.to_thread(self._store.save, self.name, kept)
        self.lease.saved(kept)

    async def _serve(self, order: ServingOrder) -> None:
        before = [channel.stamp for channel in self.lineup.channels.values() if channel.stamp is not None]
        self._flip(order)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LEAVE_S
        while any(stamp.leaving for stamp in before) and loop.time() < deadline:
            await asyncio.sleep(0.0005)

    def _flip(self, order: ServingOrder) -> None:
        record = self.lease.in_force(self.glasses.in_force(order.record))
        self._use_log(order.terms)
        self.record, self.in_force, self.terms, self.problem = order.record, record, order.terms, None
        self.lineup.change(record, order.terms)

    def _use_log(self, terms: ServingTerms) -> None:
        old = self.log
        if old is not None and self.terms is not None and _log_terms(terms) == _log_terms(self.terms):
            return
        self.log = self._open_log(self.name, terms)
        if old is not None:
            self._errands.begin(old.close())


def _since_ms(arrived: float) -> float:
    return round((time.perf_counter() - arrived) * 1000, 3)


def _log_terms(terms: ServingTerms) -> tuple[object, ...]:
    serving = terms.serving
    return terms.pii, serving.strict_log, serving.keep_log, serving.max_log
