"""One version's scoring process: kept alive, and fed with what waits, as much at a time as there is."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from understudy.contract.errors import UnderstudyError
from understudy.contract.words import MirrorLoss
from understudy.gateway.deaths import Deaths
from understudy.gateway.errands import Errands
from understudy.gateway.errors import NotServing
from understudy.gateway.exchange import Answer, Item, LogRow
from understudy.gateway.mirror import Mirrored, MirrorQueue
from understudy.gateway.next_start import NextStart
from understudy.gateway.refusals import refusal
from understudy.gateway.waiting import Answered, LiveQueue, Stamp, Waiting
from understudy.gateway.worker import Worker, WorkerDied, WorkerStart

MOST_DEATHS_PER_REQUEST = 2
MOST_DEATHS_OF_A_MIRROR = 5
CLOSE_S = 2.0

Spawn = Callable[[WorkerStart], Awaitable[Worker]]


class Channel:
    """Feed one version's process: live requests while it is the one that answers, and mirrored ones after them."""

    def __init__(
        self,
        start: WorkerStart,
        spawn: Spawn,
        *,
        queue: LiveQueue,
        mirrored: MirrorQueue,
        note: Callable[[LogRow], object],
        on_change: Callable[[], None],
    ) -> None:
        self.start, self.bundle = start, start.bundle
        self.mirrored = mirrored
        self.named = LiveQueue()
        """Requests that ask this version by its number while another one answers for the model."""
        self.named_stamp: Stamp | None = None
        self.max_batch, self.patience_s = 64, 2.0
        """How many requests are scored together, and how long that may take before the process counts as hung."""
        self.is_front = False
        """Whether it answers callers."""
        self.fall_back: Callable[[Waiting, MirrorLoss, Answer | None], None] | None = None
        """Who takes the requests that it cannot answer; without it, they wait for the process's successor."""
        self.is_expendable = False
        """Whether it is given up after too many deaths."""
        self.stamp: Stamp | None = None
        self.worker: Worker | None = None
        """The process while it can answer."""
        self.problem: str | None = None
        self.was_refused = False
        """Whether the last attempt to start the process failed."""
        self.restarts = 0
        self.queue = queue
        """Where the requests wait that it is to answer."""
        self._spawn, self._note, self._on_change = spawn, note, on_change
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._ending, self._next_start, self._deaths = Errands(), NextStart(), Deaths()
        self._wake: asyncio.Future[None] | None = None
        self._is_lingering = self._is_hung = self._is_closing = False
        self._answering: list[Waiting] = []
        self._rehearsing: list[Mirrored] = []

    @property
    def is_coming_back(self) -> bool:
        """Tell a process that is being replaced from one that never was or cannot be."""
        return self.restarts > 0 and not self.was_refused

    @property
    def waiting(self) -> int:
        """Count what this process scores and what waits for nobody but it."""
        return len(self._answering) + len(self._rehearsing) + len(self.mirrored) + len(self.named)

    def keep(self) -> None:
        """Start the process, and again whenever it dies."""
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._live_on())

    def try_now(self) -> None:
        """Start the process now if there is none, however often it failed."""
        if self.worker is None:
            self.keep()
            self.wake()

    async def until_ready(self) -> None:
        """Wait for the process; an attempt that failed is repeated at once. Raise what refused it."""
        if self.worker is not None:
            return
        outcome = self._next_start.outcome()
        self.try_now()
        await outcome

    def wake(self) -> None:
        """Have a look at what waits."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def notice_death(self) -> None:
        """Look after a process that died while it had nothing to do."""
        if self.worker is not None and not self.worker.is_alive:
            self.wake()

    def give_back(self) -> list[Waiting]:
        """Hand over the live requests in work; answers that still come for them are ignored."""
        taken = [waiting for waiting in self._answering if not waiting.is_named]
        self._answering = [waiting for waiting in self._answering if waiting.is_named]
        return [waiting for waiting in taken if waiting.at is self]

    def ask(self, waiting: Waiting) -> None:
        """Take a request that names this version."""
        self.named.put(waiting)
        self.wake()

    def mirror(self, copy: Mirrored) -> None:
        """Take a copy, or log that it was lost."""
        if self.worker is None:
            self._lose([copy], MirrorLoss.DOWN)
        elif not self.mirrored.put(copy):
            self._lose([copy], MirrorLoss.QUEUE_FULL)
        elif not self._is_lingering or self.mirrored.pause_s(self.max_batch) == 0:
            self.wake()

    async def close(self) -> None:
        """Let work end, then end the process; a hung one is killed."""
        self._is_closing, self.is_front = True, False
        self.wake()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.wait([self._task])
        worker, self.worker = self.worker, None
        self._lose(self._rehearsing, MirrorLoss.DOWN)
        self._lose(self.mirrored.take_all(), MirrorLoss.DOWN)
        self._next_start.settle(NotServing(self.bundle.model, "the gateway no longer keeps this version"))
        if worker is not None:
            await worker.close()
        await self._ending.finish(CLOSE_S)

    async def _live_on(self) -> None:
        while not self._is_closing:
            try:
                worker = await self._spawn(self.start)
            except (UnderstudyError, OSError) as refused:
                self.was_refused = True
                self._change(None, str(refused))
                self._next_start.settle(refused)
                pause_s = self._deaths.add(lived_s=0.0)
            else:
                born = self._loop.time()
                self._is_hung = self.was_refused = False
                self._change(worker, None)
                self._next_start.settle(None)
                reason = await self._feed(worker)
                if reason is None:
                    return
                self.restarts += 1
                self._bury(reason)
                self._end(worker)
                pause_s = self._deaths.add(self._loop.time() - born)
            if self.is_expendable and self._deaths.in_a_row >= MOST_DEATHS_OF_A_MIRROR:
                self._change(None, f"failed {self._deaths.in_a_row} times, the last time because {self.problem}")
                self._deaths.forget()
                return
            if pause_s:
                await self._rest(pause_s)

    def _change(self, worker: Worker | None, problem: str | None) -> None:
        self.worker, self.problem = worker, problem
        self._on_change()

    def _bury(self, reason: str) -> None:
        loss = MirrorLoss.TIMEOUT if self._is_hung else MirrorLoss.DOWN
        back, named = self.give_back(), self._answering
        self._answering = []
        for waiting in (*back, *named):
            waiting.attempts += 1
            if self.fall_back is not None and not waiting.is_named:
                self.fall_back(waiting, loss, None)
            elif waiting.attempts >= MOST_DEATHS_PER_REQUEST:
                self._refuse(waiting)
        if self.fall_back is None:
            self.queue.put_back(back)
        self.named.put_back(named)
        self._lose(self._rehearsing, loss)
        self._rehearsing = []
        self._lose(self.mirrored.take_all(), MirrorLoss.DOWN)
        self._change(None, reason)

    def _refuse(self, waiting: Waiting) -> None:
        body = refusal(waiting.item.wire, 500, "Two scoring processes ended while they scored this request.")
        self._reply(waiting, Answer(500, body, rows=0, output=b"", score_us=0, batch=1, error="WorkerDied"), 0)

    def _reply(self, waiting: Waiting, answer: Answer, queue_us: int) -> None:
        stamp = self.named_stamp if waiting.is_named else self.stamp
        if stamp is not None and not waiting.future.done():
            stamp.leaving += 1
            waiting.future.set_result(Answered(answer, stamp, queue_us))

    def _lose(self, copies: Sequence[Mirrored], loss: MirrorLoss) -> None:
        now = time.perf_counter_ns()
        for copy in copies:
            self._note(copy.row(self.bundle, None, loss, now, now))

    async def _rest(self, most_s: float | None) -> None:
        if self._is_closing:
            return
        self._wake = self._loop.create_future()
        timer = None if most_s is None else self._loop.call_later(most_s, self.wake)
        await self._wake
        if timer is not None:
            timer.cancel()

    async def _feed(self, worker: Worker) -> str | None:
        """Score until the process dies, and say of what; None once the channel is closed and has no work left."""
        try:
            while worker.is_alive:
                if self.is_front and (batch := self.queue.take(self.max_batch)):
                    await self._answer(worker, batch)
                elif self.mirrored and (self._is_closing or self.mirrored.pause_s(self.max_batch) == 0):
                    await self._rehearse(worker, self.mirrored.take(self.max_batch))
                elif batch := self.named.take(self.max_batch):
                    # After the copies: whoever names a version in probation must not cost it its evidence.
                    await self._answer(worker, batch)
                elif self._is_closing:
                    return None
                else:
                    self._is_lingering = bool(self.mirrored)
                    await self._rest(self.mirrored.pause_s(self.max_batch))
                    self._is_lingering = False
        except WorkerDied as died:
            return "its process did not answer in time" if self._is_hung else str(died)
        except Exception as broken:  # noqa: BLE001 - a channel that stops for any reason is a model that hangs
            return f"its process answered what cannot be used ({type(broken).__name__})"
        return "its process ended"

    async def _answer(self, worker: Worker, batch: list[Waiting]) -> None:
        taken = time.perf_counter_ns()
        self._answering = batch
        for waiting in batch:
            waiting.at = self
        answers = await self._score(worker, [waiting.item for waiting in batch])
        self._answering = []
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.at is not self:
                continue
            if answer.error is not None and self.fall_back is not None and not waiting.is_named:
                self.fall_back(waiting, MirrorLoss.FAILED, answer)
            else:
                self._reply(waiting, answer, (taken - waiting.arrived_ns) // 1000)

    async def _rehearse(self, worker: Worker, batch: list[Mirrored]) -> None:
        taken = time.perf_counter_ns()
        self._rehearsing = batch
        answers = await self._score(worker, [copy.item for copy in batch])
        self._rehearsing = []
        done = time.perf_counter_ns()
        for copy, answer in zip(batch, answers, strict=True):
            self._note(copy.row(self.bundle, answer, None, taken, done))

    async def _score(self, worker: Worker, items: list[Item]) -> list[Answer]:
        # A timer instead of wait_for, which would cost a task for each frame.
        watch = self._loop.call_later(self.patience_s, self._cut, worker)
        try:
            return await worker.score(items)
        finally:
            watch.cancel()

    def _cut(self, worker: Worker) -> None:
        self._is_hung = True
        self._end(worker)

    def _end(self, worker: Worker) -> None:
        # Nobody waits for it: a process that hangs in the kernel may take long to go.
        self._ending.begin(worker.kill())
