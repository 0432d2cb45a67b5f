"""The gateway's side of a scoring process: one model version, behind a socket, and nothing it says is trusted."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from time import monotonic
from typing import Any, Protocol

from pydantic import ValidationError

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle
from understudy.contract.words import Confinement
from understudy.gateway.exchange import Answer, Item
from understudy.gateway.frames import ENDED, LIMIT_BYTES, FrameBroken, FrameChannel, pack, pack_items, read_answers

FRAME_BYTES = LIMIT_BYTES // 2


class WorkerStart(Fact):
    """Say which version a scoring process serves, and within which limits."""

    bundle: Bundle
    folder: str
    """The folder with the version's files."""
    memory_bytes: int
    max_rows: int
    allow_pickle: bool = False
    is_copy: bool = False
    """Whether it is a second process of a version, beside the one that was there before."""

    @classmethod
    def read(cls, told: Any) -> "WorkerStart":
        """Read what a gateway says; a later release than the one in a process's image may say more."""
        known = {name: told[name] for name in cls.model_fields if name in told}
        bundle = {name: told["bundle"][name] for name in Bundle.model_fields if name in told["bundle"]}
        return cls.model_validate({**known, "bundle": bundle})


class WorkerReady(Fact):
    """Say that a version was verified, loaded and warmed up."""

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
    """What the process holds itself to: by name, as an image of another release may know other names."""


class WorkerRefused(UnderstudyError):
    """A version could not be verified, loaded or warmed up."""

    def __init__(self, bundle: Bundle, problem: str) -> None:
        self.bundle, self.problem = bundle, problem
        super().__init__(f"Version {bundle.version} of {bundle.model} cannot be served: {problem}")


class WorkerUnborn(WorkerRefused):
    """No process came out of the nursery; the version is not to blame."""

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


class Running(Protocol):
    """Be what a scoring process runs as."""

    @property
    def pid(self) -> int | None:
        """Its number on this machine, where it has one."""
        ...

    @property
    def container(self) -> str | None:
        """The container that it is in, where it is in one."""
        ...

    @property
    def held_to(self) -> frozenset[Confinement]:
        """What it is held to from outside, whatever it does itself."""
        ...

    def rss_bytes(self) -> int | None:
        """Say how much memory it holds; None where that is not known."""
        ...

    async def end(self, grace_s: float) -> None:
        """Wait for its end, and kill it where that takes too long; the second time, nothing is left to do."""
        ...


class Worker:
    """Score with one model version in a process of its own."""

    def __init__(self, bundle: Bundle, ready: WorkerReady, channel: FrameChannel, running: Running) -> None:
        self.bundle, self.ready = bundle, ready
        self.running = running
        self._channel = channel
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
        return self.running.rss_bytes() if self.is_alive else None

    @property
    def not_held(self) -> tuple[Confinement, ...]:
        """Name what it should be held to and is not."""
        held = {*self.ready.isolation, *self.running.held_to}
        return tuple(what for what in Confinement if what not in held)

    @property
    def is_alive(self) -> bool:
        """Tell whether it can still answer."""
        return self._channel.problem is None

    async def close(self, grace_s: float = 1.0) -> None:
        """Let it end, and kill it where it does not in time."""
        self._channel.close()  # it ends by itself when its socket closes
        await self.running.end(grace_s)

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


async def connect(
    channel: FrameChannel, start: WorkerStart, timeout_s: float, running_as: Callable[[int], Running]
) -> Worker:
    """Start scoring in the process at the other end of a channel, and wait until it is ready.

    :param running_as: told the number that the process has where it runs, says what it runs as.
    :raises WorkerRefused: where it does not get ready, or not in time; the process is gone then.
    """
    channel.send(pack({"kind": "start", "start": start.model_dump(mode="json")}))
    running: Running | None = None
    try:
        end = monotonic() + timeout_s
        running = running_as(await _greeted(channel, start, timeout_s))
        ready = await _ready(channel, start, end - monotonic())
    except BaseException:  # a cancelled caller, too, leaves no process behind
        channel.close()
        if running is not None:
            await running.end(0.0)
        raise
    return Worker(start.bundle, ready, channel, running)


async def _greeted(channel: FrameChannel, start: WorkerStart, seconds: float) -> int:
    """Learn the process's number while none of the model's code has run yet."""
    header = await _header(channel, start, seconds)
    pid = None if header is None else header.get("pid")
    if not isinstance(pid, int):
        raise WorkerUnborn(start.bundle)
    return pid


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
