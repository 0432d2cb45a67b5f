"""A model that does what nobody should let it do harms itself only."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.integration.scoring.hostile_model import ERROR, NO_ERROR, asking, outcome
from tests.integration.scoring.process import PATIENCE_S, Run
from understudy.contract.words import Confinement
from understudy.gateway.worker import Worker, WorkerDied


def test_a_model_that_takes_all_memory_hits_its_own_limit_and_nobody_elses(run: Run[Any], worker: Worker) -> None:
    greedy, modest = run(worker.score([asking("take_memory", 4096)]))[0], run(outcome(worker, "take_memory", 50))
    assert greedy.status == 500
    assert modest == NO_ERROR


def test_a_model_that_prints_megabytes_costs_nothing(run: Run[Any], worker: Worker) -> None:
    assert run(outcome(worker, "flood", 8)) == NO_ERROR


def test_a_model_does_not_find_the_gateways_secrets_in_its_environment(run: Run[Any], worker: Worker) -> None:
    assert run(outcome(worker, "look_for_secret")) == ERROR


def test_a_model_that_writes_to_the_gateway_itself_is_not_believed(run: Run[Any], worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="broken"):
        run(asyncio.wait_for(worker.score([asking("babble")]), PATIENCE_S))
    assert not worker.is_alive


def held(worker: Worker, what: Confinement) -> None:
    if what not in worker.ready.isolation:
        pytest.skip(f"this machine does not let a process give up: {what}")


def test_a_model_reaches_no_network(run: Run[Any], worker: Worker) -> None:
    held(worker, Confinement.NO_NETWORK)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
        assert run(outcome(worker, "connect", port)) == ERROR
    assert run(outcome(worker, "listen")) == ERROR


def test_a_model_changes_nothing_on_disk(run: Run[Any], worker: Worker) -> None:
    held(worker, Confinement.NO_WRITING)
    there = Path("/tmp") / f"understudy-worker-{os.getpid()}"
    there.touch()
    assert run(outcome(worker, "remove", os.getpid())) == ERROR
    assert run(outcome(worker, "write", os.getpid())) == ERROR
    there.unlink()
    assert run(outcome(worker, "write", os.getpid())) == ERROR
    assert not there.exists()


def test_a_model_starts_no_program_and_signals_nobody(run: Run[Any], worker: Worker) -> None:
    held(worker, Confinement.NO_PROGRAMS)
    held(worker, Confinement.NO_SIGNALS)
    assert run(outcome(worker, "run")) == ERROR
    assert run(outcome(worker, "signal", os.getpid())) == ERROR
