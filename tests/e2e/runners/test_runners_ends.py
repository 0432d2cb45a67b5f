"""How a stage ends that does not end well, and what is found again of it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.runners.probes import DEPLOYMENT, PLACES, job, volumes, volumes_of
from understudy.contract.words import JobState
from understudy.runners.docker import DockerRunner
from understudy.runners.process import ProcessRunner
from understudy.runners.protocol import Runner

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("function", ["hog", "giant"])
def test_running_out_of_memory_is_told_apart(
    place: str, function: str, workspace: Path, request: pytest.FixtureRequest
) -> None:
    runner: Runner = request.getfixturevalue(place)
    job_id = runner.submit(job(workspace, function), {})
    list(runner.stream_logs(job_id))
    assert runner.status(job_id).state is JobState.OUT_OF_MEMORY
    runner.remove(job_id)


@pytest.mark.parametrize("place", PLACES)
def test_being_killed_from_outside_is_not_out_of_memory(
    place: str, workspace: Path, request: pytest.FixtureRequest
) -> None:
    runner: Runner = request.getfixturevalue(place)
    asked = job(workspace, "sleep")
    job_id = runner.submit(asked, {})
    next(runner.stream_logs(job_id))
    if place != "processes":
        subprocess.run(["docker", "kill", asked.name], check=True, capture_output=True)
    else:
        supervisor = json.loads(job_id)["pid"]
        stage = subprocess.run(
            ["pgrep", "-P", str(supervisor)], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        os.kill(int(stage), signal.SIGKILL)
    list(runner.stream_logs(job_id))
    assert runner.status(job_id).state is JobState.BROKEN
    runner.remove(job_id)


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_ends_a_stubborn_stage_within_three_seconds_and_leaves_nothing(
    place: str, workspace: Path, request: pytest.FixtureRequest
) -> None:
    runner: Runner = request.getfixturevalue(place)
    asked = job(workspace, "stubborn")
    job_id = runner.submit(asked, {})
    own = volumes_of(runner, job_id)
    time.sleep(0.7)
    begun = time.monotonic()
    runner.kill(job_id)
    assert time.monotonic() - begun < 3
    assert runner.find(asked.name) is None
    assert runner.status(job_id).state is JobState.GONE
    runner.kill(job_id)
    assert not own & volumes()


@pytest.mark.parametrize("place", PLACES)
def test_a_stage_whose_worker_is_gone_ends_itself(
    place: str, workspace: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("environment", "process"):
        monkeypatch.setattr(f"understudy.runners.{module}.ORPHAN_GRACE_S", 0)
    runner: Runner = request.getfixturevalue(place)
    job_id = runner.submit(job(workspace, "sleep", limits={"timeout": timedelta(seconds=2)}), {})
    begun = time.monotonic()
    list(runner.stream_logs(job_id))
    assert time.monotonic() - begun < 10
    assert runner.status(job_id).state is JobState.BROKEN
    runner.remove(job_id)


PLUGINS = Path(__file__).resolve().parents[3] / "plugins"


SUBMIT_AND_DIE = """
import os, pickle, signal, sys
runner, job = pickle.load(open(sys.argv[1], "rb"))
open(sys.argv[2], "w").write(runner.submit(job, {}))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("place", PLACES)
def test_a_job_survives_its_submitter_and_is_found_again(
    place: str, workspace: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    import pickle

    runner: Runner = request.getfixturevalue(place)
    asked = job(workspace, "sleep", params={"seconds": 2})
    seen = str(workspace) if place == "mounting" else ""
    fresh = (
        ProcessRunner(jobs=workspace / ".jobs")
        if place == "processes"
        else DockerRunner(deployment=DEPLOYMENT, workspace=workspace, workspace_on_daemon=seen)
    )
    (tmp_path / "job.pickle").write_bytes(pickle.dumps((fresh, asked)))
    died = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SUBMIT_AND_DIE), str(tmp_path / "job.pickle"), str(tmp_path / "id")],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    job_id = (tmp_path / "id").read_text()
    assert json.loads(runner.find(asked.name) or "{}") == json.loads(job_id)
    assert runner.status(job_id).state is JobState.RUNNING
    assert [line.text for line in runner.stream_logs(job_id)] == ["asleep"]
    assert json.loads(runner.result(job_id, asked.outputs))["report"] == {"slept": True}
    runner.remove(job_id)


@pytest.mark.parametrize("place", PLACES)
def test_a_second_submit_of_a_name_replaces_the_first(
    place: str, workspace: Path, request: pytest.FixtureRequest
) -> None:
    runner: Runner = request.getfixturevalue(place)
    first = runner.submit(job(workspace, "sleep"), {})
    second = runner.submit(job(workspace, "sleep"), {})
    assert runner.status(first).state is JobState.GONE or json.loads(first) != json.loads(second)
    assert len(runner.leftovers()) == 1
    runner.kill(second)


def test_what_is_left_of_a_container_that_somebody_else_removed_is_found_and_reaped(
    workspace: Path, mounting: DockerRunner
) -> None:
    asked = job(workspace, "sleep", labels={"dag_id": "d"})
    mounting.submit(asked, {})
    subprocess.run(["docker", "rm", "-f", asked.name], check=True, capture_output=True)
    other = DockerRunner(deployment="another", workspace=workspace, workspace_on_daemon=str(workspace))
    assert other.leftovers() == []
    (left,) = mounting.leftovers()
    assert (left["dag_id"], left["name"]) == ("d", asked.name)
    mounting.kill(left["id"])
    assert mounting.leftovers() == []
    assert list((workspace / ".containers").iterdir()) == []
