"""All models of a gateway, from its start to its end."""

import asyncio
import logging
import shutil
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from understudy.contract.declaration.train import memory_bytes
from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Acknowledgement, PrepareOrder, ServingOrder, ServingTerms, TruthReport
from understudy.gateway.config import GatewayConfig
from understudy.gateway.errors import RecordUnreadable
from understudy.gateway.label_relay import LabelRelay
from understudy.gateway.log.compact import compact_apart
from understudy.gateway.log.label_accounts import count_apart, size_of
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.places import Place
from understudy.gateway.served_model import ServedModel
from understudy.gateway.stores import Stores
from understudy.gateway.worker import Worker, WorkerStart

LOG = logging.getLogger(__name__)
# How long a process that died idle, or a lease that ran out, goes unnoticed; a death at work is noticed at once.
LOOK_S = 0.25
# After a restart all models load at once; more at a time than this would only slow each other down.
LOADS_AT_ONCE = 8


class Roster:
    """Hold the models by name; serve after a restart what was served before it."""

    def __init__(self, config: GatewayConfig, place: Place) -> None:
        self.config = config
        self.relay = LabelRelay(config)
        self.models: dict[str, ServedModel] = {}
        self.turned_away: Counter[int] = Counter()
        """Requests that reached no model, by the status that they were answered with."""
        self.truth: TruthReport | None = None
        self.truth_at: datetime | None = None
        self._place = place
        self._stores = Stores.at(config)
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)
        self._watches: list[asyncio.Task[None]] = []
        self._preload: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start to load what served last; models answer as soon as each is ready."""
        loop = asyncio.get_running_loop()
        # Not awaited: it imports for seconds, and /health has something to say meanwhile.
        self._preload = loop.create_task(self._open_place())
        for name in self._stores.records.models():
            model = self._model(name)
            try:
                order = self._stores.records.read(name)
            except RecordUnreadable as broken:
                model.problem = f"{broken} The next order for the model replaces it."
            else:
                if order is not None:
                    model.restore(order)
        self._watches = [loop.create_task(self._look_after_models()), loop.create_task(self._look_after_logs())]

    async def close(self) -> None:
        """End all scoring processes and write the logs to their ends."""
        for watch in self._watches:
            watch.cancel()
        if self._watches:
            await asyncio.wait(self._watches)
        await asyncio.gather(*(model.close() for model in self.models.values()))
        if self._preload is not None:
            await asyncio.wait([self._preload])
        await self.relay.close()
        await self._place.close()

    def find(self, name: str) -> ServedModel | None:
        """Find a model that serves, or that should."""
        model = self.models.get(name)
        return None if model is None or (model.record is None and model.problem is None) else model

    async def apply(self, order: ServingOrder) -> Acknowledgement:
        """Serve a record; see ServedModel.apply."""
        return await self._model(order.record.model).apply(order)

    async def prepare(self, order: PrepareOrder) -> None:
        """Keep a version warm; see ServedModel.prepare."""
        await self._model(order.bundle.model).prepare(order)

    async def forget(self, name: str, *, purge: bool) -> None:
        """Serve a model no more, also after a restart; with ``purge``, delete its log and its versions' files too.

        What was taken back by break-glass is remembered unless it is purged: a follower would bring the model back.
        Raise OSError where something cannot be deleted; repeating it is harmless.
        """
        model = self._model(name)
        await model.forget()
        if self.models.get(name) is model:
            del self.models[name]
        if purge:
            await asyncio.to_thread(model.glasses.drop)
            for folder in (self.config.log_dir(name), self.config.bundles_dir / name):
                await asyncio.to_thread(_delete, folder)

    def _model(self, name: str) -> ServedModel:
        if name not in self.models:
            self.models[name] = ServedModel(name, self.config, self._spawn, self._stores, self._open_log)
        return self.models[name]

    async def _spawn(self, start: WorkerStart) -> Worker:
        async with self._loads:
            return await self._place.spawn(start)

    def _open_log(self, model: str, terms: ServingTerms) -> PredictionLog:
        serving = terms.serving
        return PredictionLog(
            self.config.log_dir(model),
            pii=terms.pii,
            strict=serving.strict_log,
            keep_s=serving.keep_log.total_seconds(),
            max_bytes=memory_bytes(serving.max_log),
        )

    async def _open_place(self) -> None:
        try:
            await self._place.open()
        except UnderstudyError as broken:
            LOG.error("%s", broken)  # each version that needs it says so too

    async def _look_after_models(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for model in self.models.values():
                model.look_after_lease()
                for channel in model.lineup.channels.values():
                    channel.notice_death()

    async def _look_after_logs(self) -> None:
        """Turn closed segments into Parquet, which evidence is read from fifty times faster, and count the labels."""
        while True:
            await asyncio.sleep(self.config.compact_s)
            for model in list(self.models.values()):
                try:
                    done = await compact_apart(self.config.log_dir(model.name))
                    LOG.info("%s: compacted %d rows of %d segments", model.name, done.rows, done.segments)
                    await self._count_labels(model)
                except (UnderstudyError, OSError) as problem:
                    LOG.warning("%s", problem)

    async def _count_labels(self, model: ServedModel) -> None:
        folder, known = self.config.log_dir(model.name), model.labels
        if known is None or known.bytes_read != await asyncio.to_thread(size_of, folder):
            model.labels = await count_apart(folder)


def _delete(folder: Path) -> None:
    with suppress(FileNotFoundError):  # there never was one, or a second request was faster
        shutil.rmtree(folder)
