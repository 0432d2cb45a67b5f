"""Scoring processes in containers, for versions whose libraries are in an image of their own."""

import asyncio
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from time import monotonic

from understudy.contract.release import Bundle
from understudy.contract.words import Confinement
from understudy.gateway.attached import AttachedChannel
from understudy.gateway.container_engine import MODEL_FOLDER, Attached, ContainerEngine
from understudy.gateway.worker import Worker, WorkerRefused, WorkerStart, connect
from understudy.runners.errors import EngineForbidden, EngineUnreachable, ImageMissing, RunnerError

LOG = logging.getLogger(__name__)
# Not the loop's own threads, which write records and logs: an engine that hangs must hold up nobody else.
CALLS_AT_ONCE = 8
MEASURE_S = 5.0
# It imports everything itself, which takes seconds of a processor, and a busy machine many times that.
READY_S = 120.0
# By runners/sealed.py and container_engine.py.
HELD_TO = frozenset(
    {
        Confinement.MEMORY,
        Confinement.NO_NETWORK,
        Confinement.NO_WRITING_TO_FILES,
        Confinement.NO_WRITING,
        Confinement.NO_SIGNALS,
        Confinement.NO_PRIVILEGES,
        Confinement.NO_ROOT,
    }
)


class InContainer:
    """Be a process in a container."""

    pid: None = None
    held_to = HELD_TO

    def __init__(self, container: str, engine: ContainerEngine, calls: ThreadPoolExecutor) -> None:
        self.container = container
        self._engine, self._calls = engine, calls
        self._rss: int | None = None
        self._measured_at = 0.0
        self._is_over = False

    def rss_bytes(self) -> int | None:
        """Give what was measured last, and have it measured again where that was more than a few seconds ago."""
        if not self._is_over and monotonic() - self._measured_at > MEASURE_S:
            self._measured_at = monotonic()
            self._calls.submit(self._measure)
        return self._rss

    async def measure(self) -> None:
        """Ask the engine how much memory its processes hold now."""
        self._measured_at = monotonic()
        await asyncio.get_running_loop().run_in_executor(self._calls, self._measure)

    async def end(self, grace_s: float) -> None:  # noqa: ARG002 - its input is closed, and it has nothing to finish
        """Kill and remove it; where the engine does not answer, it still ends with its input."""
        if self._is_over:
            return
        self._is_over = True
        with suppress(RunnerError):
            await asyncio.get_running_loop().run_in_executor(self._calls, self._engine.remove, self.container)

    def _measure(self) -> None:
        with suppress(RunnerError):  # it may have ended meanwhile, which its channel says
            self._rss = self._engine.rss_bytes(self.container)


class Containers:
    """Start scoring processes in containers of the images that their versions were trained in."""

    def __init__(self, engine: ContainerEngine) -> None:
        self._engine = engine
        self._calls = ThreadPoolExecutor(CALLS_AT_ONCE, "engine")

    async def open(self) -> None:
        """Remove what a killed gateway may have left; where no engine answers, there is nothing to remove."""
        try:
            removed = await asyncio.get_running_loop().run_in_executor(self._calls, self._engine.sweep)
        except RunnerError:
            return
        if removed:
            LOG.warning("removed %d containers that this gateway had left when it was killed", removed)

    async def spawn(self, start: WorkerStart, timeout_s: float = READY_S) -> Worker:
        """Start a container and wait until its version is ready.

        :raises WorkerRefused: where no container of the image can be had, or the version cannot be verified, loaded or
            warmed up in it.
        """
        try:
            attached = await self._start(start)
        except RunnerError as refused:
            raise WorkerRefused(start.bundle, _in_a_sentence(start.bundle, refused)) from refused
        inside = InContainer(attached.container, self._engine, self._calls)
        channel = AttachedChannel()
        try:
            await _join(channel, attached.sock)
            there = start.model_copy(update={"folder": MODEL_FOLDER})
            worker = await connect(channel, there, timeout_s, lambda _pid: inside)
            await inside.measure()
        except BaseException as failed:
            channel.close()
            await inside.end(0.0)
            if isinstance(failed, WorkerRefused):
                # What is wrong with the copy in the container is wrong with the files that it was made of.
                raise WorkerRefused(start.bundle, failed.problem.replace(MODEL_FOLDER, start.folder)) from failed
            raise
        return worker

    async def close(self) -> None:
        """Wait for the engine's last answers."""
        await asyncio.get_running_loop().run_in_executor(None, self._calls.shutdown)

    async def _start(self, start: WorkerStart) -> Attached:
        starting = asyncio.get_running_loop().run_in_executor(self._calls, partial(self._engine.start, start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_let_go)
            raise


def _let_go(starting: "asyncio.Future[Attached]") -> None:
    """End a container that nobody waits for any more: it ends with its input."""
    if not starting.cancelled() and starting.exception() is None:
        starting.result().sock.close()


async def _join(channel: AttachedChannel, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    if sock.family == socket.AF_UNIX:
        await loop.create_unix_connection(lambda: channel, sock=sock)
    else:
        await loop.create_connection(lambda: channel, sock=sock)


def _in_a_sentence(bundle: Bundle, refused: RunnerError) -> str:
    image = bundle.own_image or "the image that it was trained in"
    if isinstance(refused, (EngineUnreachable, EngineForbidden)):
        return (
            f"it is scored in a container of {image}, and no Docker engine takes this gateway's orders. Start one, or "
            "point DOCKER_HOST of the gateway at one."
        )
    if isinstance(refused, ImageMissing):
        return (
            f"it is scored in a container of {image}, and the gateway's Docker engine has no image of the digest "
            f"{bundle.image_digest}. Pull it there, or train the model again."
        )
    return str(refused)
