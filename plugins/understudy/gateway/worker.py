"""The gateway's side of a scoring process: one model version, behind a socket, believed in nothing."""

import asyncio
import os
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from itertools import count
from time import monotonic

from pydantic import ValidationError

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle
from understudy.gateway.exchange import Answer, Item
from understudy.gateway.frames import ENDED, LIMIT_BYTES, FrameBroken, FrameChannel, pack, pack_items, read_answers

POLL_S = 0.005
LAST_WAIT_S = 60.0  # the kernel may take its time with a process that waits for a disk
FRAME_BYTES = LIMIT_BYTES // 2


class WorkerStart(Fact):
    """Say which version a scoring process serves, and within which limits."""

    bundle: Bundle
    folder: str
    """The folder with the version's files."""
    memory_bytes: int
    max_rows: int
    allow_pickle: bool = False


class WorkerReady(Fact):
    """Say that a version was verified, loaded and warmed up."""

    pid: int
    load_ms: float
    inputs: tuple[str, ...]
    """The columns that a caller sends."""
    example: str
    """A request that the version answers, in MLflow's dataframe_split; empty where its ``prepare`` takes other
    columns than the features that are stored with the model."""
    input_datatypes: tuple[str, ...] = ()
    """Of each of the inputs, in the words of the V2 protocol."""
    output_datatype: str = "FP64"
    """Of an answer, likewise."""
    is_fast: bool
    """Rows reach the model as an array, without a data frame."""
    isolation: tuple[str, ...]
    """What holds, in words; what could not be had here is not listed."""


class WorkerRefused(UnderstudyError):
    """A version could not be verified, loaded or warmed up."""

    def __init__(self, bundle: Bundle, problem: str) -> None:
        self.bundle, self.problem = bundle, problem
        super().__init__(f"Version {bundle.version} of {bundle.model} cannot be served: {problem}")


class WorkerUnborn(WorkerRefused):
    """No process came out of the nursery; the version has no part in it."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, "no process could be started for it. Try again, and look at the gateway's output.")


class WorkerDied(UnderstudyError):
    """A scoring process is gone."""

    def __init__(self, bundle: Bundle, problem: str) -> None:
        self.bundle, self.problem = bundle, problem
        super().__init__(f"The scoring process of version {bundle.version} of {bundle.model} is gone: {problem}.")


def is_there(pid: int) -> bool:
    """Tell whether a process of that number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


class _Process:
    """Signal a process that is no child of ours, and never another one that got its number."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._is_over = False
        self._handle: int | None = None
        try:
            # Held from a moment on when the process was there: it had just written to us.
            self._handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        except ProcessLookupError:
            self._is_over = True  # it refused the version at once, and has left
        except OSError:
            self._handle = None  # an old kernel, or a container that forbids it

    async def end(self, grace_s: float) -> None:
        """Wait for its end, and kill it where that takes too long; the second time, nothing is left to do."""
        if self._is_over:
            return
        if not await self._wait(grace_s):
            self._kill()
            await self._wait(LAST_WAIT_S)
        self._is_over = True
        if self._handle is not None:
            os.close(self._handle)

    def _is_gone(self) -> bool:
        if self._is_over:
            return True
        if self._handle is not None:
            poll = select.poll()
            poll.register(self._handle, select.POLLIN)
            return bool(poll.poll(0))
        return not is_there(self._pid)

    def _kill(self) -> None:
        try:
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                os.kill(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it went by itself

    async def _wait(self, seconds: float) -> bool:
        end = monotonic() + seconds
        while not self._is_gone():
            if monotonic() >= end:
                return False
            await asyncio.sleep(POLL_S)
        return True


class Worker:
    """Score with one model version in a process of its own."""

    def __init__(self, bundle: Bundle, ready: WorkerReady, channel: FrameChannel, process: _Process) -> None:
        self.bundle, self.ready = bundle, ready
        self._channel, self._process = channel, process
        self._seq = count(1)

    async def score(self, items: Sequence[Item]) -> list[Answer]:
        """Score requests together; one call at a time. A call that is cancelled leaves the process usable.

        :raises WorkerDied: where the process ends, or answers what is no answer.
        """
        answers: list[Answer] = []
        for part in _parts(items):
            answers += await self._score(part)
        return answers

    async def _score(self, items: Sequence[Item]) -> list[Answer]:
        seq = next(self._seq)
        self._channel.send(pack_items(seq, items))
        while (frame := await self._channel.next()) is not None:
            if frame.header.get("seq") != seq:
                continue  # the answer to a call that was given up
            try:
                return read_answers(frame, len(items))
            except FrameBroken as broken:
                await self.kill()
                raise WorkerDied(self.bundle, str(broken)) from broken
        raise WorkerDied(self.bundle, self._channel.problem or ENDED)

    def rss_bytes(self) -> int | None:
        """Measure its memory; None where it is gone."""
        import psutil

        if not self.is_alive:
            return None
        try:
            return int(psutil.Process(self.ready.pid).memory_info().rss)
        except psutil.Error:
            return None

    @property
    def is_alive(self) -> bool:
        """Tell whether it can still answer."""
        return self._channel.problem is None

    async def close(self, grace_s: float = 1.0) -> None:
        """Let it end, and kill it where it does not in time."""
        self._channel.close()  # it ends by itself when its socket closes
        await self._process.end(grace_s)

    async def kill(self) -> None:
        """End it at once."""
        await self.close(grace_s=0.0)


def _parts(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Put as many requests into each frame as its limit allows."""
    part: list[Item] = []
    size = 0
    for item in items:
        if part and size + len(item.body) > FRAME_BYTES:
            yield part
            part, size = [], 0
        part.append(item)
        size += len(item.body)
    if part:
        yield part


async def connect(sock: socket.socket, start: WorkerStart, timeout_s: float) -> Worker:
    """Start scoring in the process at the other end of a socket, and wait until it is ready.

    :raises WorkerRefused: where it does not get ready, or not in time; the process is gone then.
    """
    channel = FrameChannel()
    await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=sock)
    channel.send(pack({"kind": "start", "start": start.model_dump(mode="json")}))
    process: _Process | None = None
    try:
        end = monotonic() + timeout_s
        process = await _greeted(channel, start, timeout_s)
        ready = await _ready(channel, start, end - monotonic())
    except BaseException:  # a cancelled caller, too, leaves no process behind
        channel.close()
        if process is not None:
            await process.end(0.0)
        raise
    return Worker(start.bundle, ready, channel, process)


async def _greeted(channel: FrameChannel, start: WorkerStart, seconds: float) -> _Process:
    """Learn the process's number while none of the model's code has run yet."""
    header = await _header(channel, start, seconds)
    pid = None if header is None else header.get("pid")
    if not isinstance(pid, int):
        raise WorkerUnborn(start.bundle)
    return _Process(pid)


async def _ready(channel: FrameChannel, start: WorkerStart, seconds: float) -> WorkerReady:
    header = await _header(channel, start, seconds)
    if header is None:
        raise WorkerRefused(
            start.bundle,
            f"its process ended before it was ready ({channel.problem}). Raise serving.memory in model.yaml if memory "
            "was short; otherwise train it again.",
        )
    if header.get("kind") == "refused":
        raise WorkerRefused(start.bundle, str(header.get("problem")))
    try:
        return WorkerReady.model_validate(header.get("ready"))
    except ValidationError as broken:
        raise WorkerRefused(start.bundle, "its process answers what nobody asked. Train it again.") from broken


async def _header(channel: FrameChannel, start: WorkerStart, seconds: float) -> dict[str, object] | None:
    try:
        frame = await asyncio.wait_for(channel.next(), seconds)
    except asyncio.TimeoutError:
        raise WorkerRefused(
            start.bundle, "its process was not ready in time. Try again when the machine is less busy."
        ) from None
    return None if frame is None else frame.header
