"""Stages that are forked from a process which has imported their libraries already."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.runners.small_stages import job, report, site, wait_for_a_fork
from understudy.runners import nursery as nursery_module
from understudy.runners.errors import StartFailed
from understudy.runners.nursery import nursery
from understudy.runners.process import ProcessRunner
from understudy.runners.supervise import LINUX, started

pytestmark = pytest.mark.skipif(not LINUX, reason="stages are forked on Linux only")


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[ProcessRunner]:
    site(tmp_path)
    with nursery():
        wait_for_a_fork(tmp_path)
        runner = ProcessRunner(jobs=tmp_path / "jobs")
        yield runner
        for left in runner.leftovers():
            runner.kill(left["id"])


def newest_nest() -> int:
    """Give the youngest process that this one has stages forked from; tests before may have left it older ones."""
    command = ["pgrep", "--newest", "--parent", str(os.getpid()), "--full", "understudy.runners.nest"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_no_two_forks_draw_the_same_numbers(runner: ProcessRunner, tmp_path: Path) -> None:
    first, second = (report(runner, job(tmp_path, "chances"))["drawn"] for _ in range(2))
    assert not set(first) & set(second)


def test_a_stage_that_may_use_other_processors_starts_alone(runner: ProcessRunner, tmp_path: Path) -> None:
    seen = report(runner, job(tmp_path, "surroundings", cpus=1))
    assert (seen["is_forked"], seen["env"]["OMP_NUM_THREADS"]) == (False, "1")
    assert report(runner, job(tmp_path, "surroundings"))["is_forked"]


def test_what_was_forked_outlives_the_process_it_was_forked_from(runner: ProcessRunner, tmp_path: Path) -> None:
    asked = job(tmp_path, "sleep", seconds=1)
    job_id = runner.submit(asked, {})
    next(runner.stream_logs(job_id))
    nest = newest_nest()
    os.kill(nest, signal.SIGKILL)
    list(runner.stream_logs(job_id))
    assert json.loads(runner.result(job_id, asked.outputs))["report"] == {"slept": True}
    # From here on they start alone, and none is lost.
    assert not report(runner, job(tmp_path, "surroundings"))["is_forked"]
    assert not report(runner, job(tmp_path, "surroundings"))["is_forked"]


def test_an_inner_nursery_serves_until_it_is_closed_and_then_the_outer_one_again(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    outer = newest_nest()
    with nursery():
        report(runner, job(tmp_path, "surroundings", cpus=1))
        inner = newest_nest()
        assert inner != outer
        wait_for_a_fork(tmp_path, cpus=1)
    assert started(inner) is None
    assert newest_nest() == outer
    assert report(runner, job(tmp_path, "surroundings"))["is_forked"]


def test_where_nobody_can_tell_whether_it_began_that_is_said_and_the_retry_starts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nursery_module, "ANSWER_WITHIN_S", 1.0)
    runner = ProcessRunner(jobs=site(tmp_path) / "jobs")
    with nursery():
        wait_for_a_fork(tmp_path)
        nest = newest_nest()
        os.kill(nest, signal.SIGSTOP)
        with pytest.raises(StartFailed, match="does not answer"):
            runner.submit(job(tmp_path, "surroundings"), {})
        assert started(nest) is None  # else it would begin the job once it goes on, beside the retry
        assert not report(runner, job(tmp_path, "surroundings"))["is_forked"]
