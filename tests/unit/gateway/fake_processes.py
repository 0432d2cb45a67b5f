"""Scoring processes that do as they are told, and the models and orders to go with them."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingOrder, ServingTerms
from understudy.contract.words import Change, Confinement, MlTask
from understudy.gateway.config import GatewayConfig
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.prediction_log import LogHealth, PredictionLog
from understudy.gateway.places import Place
from understudy.gateway.served_model import ServedModel
from understudy.gateway.stores import Stores
from understudy.gateway.waiting import Answered
from understudy.gateway.worker import Worker, WorkerDied, WorkerReady, WorkerRefused, WorkerStart

MODEL = "tides"
POISON = b"poison"
PIDS = itertools.count(1)


def bundle(version: int) -> Bundle:
    """Name a version."""
    return Bundle(
        model=MODEL,
        version=version,
        model_sha256=f"{version:064x}",
        image_digest="image",
        code_commit="commit",
        spec_sha256="spec",
        data_version="data",
        run="run",
        reference_data="data",
    )


def order(
    epoch: int,
    champion: int,
    *,
    previous: int | None = None,
    mirror: int | None = None,
    canary: int | None = None,
    change: Change = Change.PROMOTION,
    share: float = 1.0,
    **serving: Any,
) -> ServingOrder:
    """Order a record."""
    record = Deployment(
        model=MODEL,
        epoch=epoch,
        change=change,
        champion=bundle(champion),
        previous=None if previous is None else bundle(previous),
        mirror=None if mirror is None else bundle(mirror),
        mirror_share=0.0 if mirror is None else share,
        canary=None if canary is None else bundle(canary),
        canary_share=0.0 if canary is None else share,
    )
    return ServingOrder(record=record, terms=terms(**serving))


def terms(**serving: Any) -> ServingTerms:
    """Serve under the defaults but for what is given."""
    return ServingTerms(task=MlTask.BINARY, serving=ServingSpec(**serving))


class FakeRunning:
    """Be a process by its number only."""

    container: None = None

    def __init__(self) -> None:
        self.pid = next(PIDS)

    def rss_bytes(self) -> int | None:
        """Weigh nothing much."""
        return 1000

    async def end(self, grace_s: float) -> None:
        """Have nothing to end."""


class FakeWorker:
    """Answer each request with the version's number; held, hung or dead on demand."""

    def __init__(self, start: WorkerStart) -> None:
        self.bundle = start.bundle
        self.running = FakeRunning()
        self.ready = WorkerReady(
            load_ms=1,
            inputs=("level",),
            input_datatypes=("FP64",),
            example="{}",
            is_fast=True,
            isolation=(),
        )
        self.not_held: tuple[Confinement, ...] = ()
        self.frames: list[list[bytes]] = []
        self.is_alive = True
        self.is_held = False
        self.is_copy = start.is_copy
        self.error: str | None = None
        self._held: asyncio.Future[None] | None = None

    async def score(self, items: Sequence[Item]) -> list[Answer]:
        """Score, unless poisoned."""
        self.frames.append([item.body for item in items])
        if any(item.body == POISON for item in items):
            self.die()
        if self.is_held and self.is_alive:
            self._held = asyncio.get_running_loop().create_future()
            await self._held
        if not self.is_alive:
            raise WorkerDied(self.bundle, "it was told to")
        body = str(self.bundle.version).encode()
        return [Answer(200, body, 1, b"{}", 10, len(items), self.error) for _ in items]

    def release(self) -> None:
        """Let held frames go."""
        self.is_held = False
        if self._held is not None and not self._held.done():
            self._held.set_result(None)

    def die(self) -> None:
        """End as a killed process does."""
        self.is_alive = False
        self.release()

    def rss_bytes(self) -> int | None:
        """Weigh what its process does."""
        return self.running.rss_bytes()

    async def close(self, grace_s: float = 1.0) -> None:
        """End."""
        self.die()

    async def kill(self) -> None:
        """End at once."""
        self.die()


class FakeNursery:
    """Make fake processes."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []
        self.refused: set[int] = set()
        self.slow: dict[int, asyncio.Event] = {}
        self.is_mortal: set[int] = set()
        """Versions whose processes die as soon as they get something to score."""

    async def open(self) -> None:
        """Have nothing to import."""

    async def close(self) -> None:
        """Have nothing to end."""

    async def spawn(self, start: WorkerStart, timeout_s: float = 60.0) -> Worker:
        """Make one."""
        version = start.bundle.version
        if version in self.slow:
            await self.slow[version].wait()
        if version in self.refused:
            raise WorkerRefused(start.bundle, "its files do not have its digest")
        worker = FakeWorker(start)
        self.workers.append(worker)
        return cast("Worker", worker)

    def of(self, version: int) -> FakeWorker:
        """Find the newest process of a version."""
        return [worker for worker in self.workers if worker.bundle.version == version and not worker.is_copy][-1]

    def copy(self) -> FakeWorker:
        """Find the newest second process of the champion's version."""
        return [worker for worker in self.workers if worker.is_copy][-1]

    def count(self, version: int) -> int:
        """Count the processes that a version had."""
        return sum(worker.bundle.version == version for worker in self.workers)


class FakeLog:
    """Keep rows in memory."""

    health = LogHealth(written=0, lost=0, queued=0, lag_s=0.0, problem=None)

    def __init__(self) -> None:
        self.rows: list[LogRow] = []

    def append(self, row: LogRow) -> None:
        """Keep a row."""
        self.rows.append(row)

    async def close(self) -> None:
        """Have nothing to flush."""


class Scene:
    """One model with its fakes."""

    def __init__(self, folder: Path) -> None:
        self.config = GatewayConfig(name="g", state_dir=folder / "state", bundles_dir=folder / "bundles")
        for version in range(1, 6):
            self.config.bundle_dir(MODEL, version).mkdir(parents=True, exist_ok=True)
        self.nursery, self.log = FakeNursery(), FakeLog()
        self.stores = Stores.at(self.config)
        self.model = ServedModel(
            MODEL, self.config, self.nursery.spawn, self.stores, lambda *_: cast("PredictionLog", self.log)
        )

    async def ask(self, body: bytes = b"x", key: str | None = None) -> Answered | None:
        """Ask and wait for the answer."""
        waiting = self.model.intake.ask(Item(Wire.MLFLOW_JSON, body), 0, key)
        answered = await waiting.future
        if answered is not None:
            answered.stamp.leaving -= 1
        return answered

    async def until_ready(self, *versions: int) -> None:
        """Wait until processes of these versions are up."""
        await until(
            lambda: (
                set(versions) <= {c.bundle.version for c in self.model.lineup.channels.values() if c.worker is not None}
            )
        )


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(12_000):
        if is_so():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to be")


def play(folder: Path, act: Callable[[Scene], Awaitable[None]]) -> None:
    """Run an act on a fresh scene, and clear up."""

    async def run() -> None:
        scene = Scene(folder)
        try:
            await act(scene)
        finally:
            await scene.model.close()

    asyncio.run(run())


def nursery(fake: FakeNursery) -> Place:
    """Pass a fake where the real one is expected."""
    return cast("Place", fake)
