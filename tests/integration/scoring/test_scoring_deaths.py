"""Processes that die, hang or are killed: it is noticed, and what serves beside them goes on."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.scoring.hostile_model import NO_ERROR, asking, outcome
from tests.integration.scoring.process import PATIENCE_S, Run, eventually, is_gone, pid_of, start_of
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import Worker, WorkerDied


def test_a_process_that_is_killed_is_noticed(run: Run[Any], worker: Worker) -> None:
    async def killed_in_between() -> None:
        os.kill(pid_of(worker), signal.SIGKILL)
        with pytest.raises(WorkerDied):
            await asyncio.wait_for(worker.score([asking("nothing")]), PATIENCE_S)

    run(killed_in_between())
    assert not worker.is_alive


def test_a_process_that_dies_of_a_request_is_noticed(run: Run[Any], worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="it ended"):
        run(asyncio.wait_for(worker.score([asking("die")]), PATIENCE_S))


def test_a_process_that_computes_for_ever_is_killed_on_demand(run: Run[Any], worker: Worker) -> None:
    async def killed_while_it_computes() -> None:
        scoring = asyncio.ensure_future(worker.score([asking("spin")]))
        await asyncio.sleep(0)
        await worker.kill()
        with pytest.raises(WorkerDied, match="it was stopped"):
            await scoring

    run(killed_while_it_computes())
    assert is_gone(pid_of(worker))


def test_a_call_that_is_given_up_does_not_answer_the_next(run: Run[Any], worker: Worker) -> None:
    async def given_up() -> list[int]:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(worker.score([asking("sleep", 300), asking("sleep", 300)]), 0.05)
        return [len(await worker.score([asking("nothing")])) for _ in range(2)]

    assert run(given_up()) == [1, 1]


def test_the_nursery_starts_again_when_it_was_killed_and_what_serves_goes_on(run: Run[Any], hostile: Path) -> None:
    async def killed() -> tuple[float, float]:
        nursery = Nursery()
        old = await nursery.spawn(start_of(hostile))
        parent = psutil.Process(pid_of(old)).ppid()
        os.kill(parent, signal.SIGKILL)
        assert await asyncio.to_thread(eventually, lambda: is_gone(parent))
        new = await nursery.spawn(start_of(hostile))
        answers = await outcome(old, "nothing"), await outcome(new, "nothing")
        await old.close()
        await new.close()
        await nursery.close()
        return answers

    assert run(killed()) == (NO_ERROR, NO_ERROR)


GATEWAY = """
import asyncio, sys
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import WorkerStart

async def main():
    worker = await Nursery().spawn(WorkerStart.model_validate_json(sys.argv[1]))
    scoring = asyncio.ensure_future(worker.score([Item(Wire.MLFLOW_JSON, sys.argv[2].encode())]))
    await asyncio.sleep(0)
    print(worker.running.pid, flush=True)
    await scoring

asyncio.run(main())
"""


def test_a_gateway_that_is_killed_leaves_no_process_behind_not_even_a_busy_one(hostile: Path) -> None:
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, start_of(hostile).model_dump_json(), asking("spin").body.decode()],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert gateway.stdout is not None
    with gateway.stdout:
        pid = int(gateway.stdout.readline())
    parent = psutil.Process(pid).ppid()
    gateway.kill()
    gateway.wait()
    assert eventually(lambda: is_gone(pid) and is_gone(parent))
