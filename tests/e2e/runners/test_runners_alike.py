"""A stage gets the same, sees the same and says the same wherever it runs."""

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.e2e.runners.probes import CODE, DEPLOYMENT, PLACES, job, run, volumes
from understudy.contract.stage import artefact_of
from understudy.contract.words import JobState
from understudy.runners.docker import DockerRunner
from understudy.runners.process import ProcessRunner
from understudy.runners.protocol import LogLine, Runner

pytestmark = pytest.mark.docker


def test_copied_mounted_and_process_give_the_same_answer_and_the_same_files(
    workspace: Path,
    copying: DockerRunner,
    mounting: DockerRunner,
    processes: ProcessRunner,
    own_volumes: set[str],
) -> None:
    answers, files = [], []
    for runner in (copying, mounting, processes):
        asked = job(workspace, "sums", params={"a": [1, None]})
        state, result, _ = run(runner, asked)
        assert state is JobState.DONE
        answers.append(result.digest())
        files.append(artefact_of(asked.outputs, workspace).sha256)
        assert (asked.outputs / "deep" / "sum.txt").read_text() == "42"
    assert result.report == {"sum": 42, "nothing": None, "params": {"a": [1, None]}}
    assert len(set(answers)) == len(set(files)) == 1
    assert own_volumes
    assert not own_volumes & volumes()


def test_a_container_is_hermetic(workspace: Path, copying: DockerRunner, mounting: DockerRunner) -> None:
    for runner in (copying, mounting):
        _, result, _ = run(runner, job(workspace, "surroundings"))
        seen: Any = result.report
        assert seen["uid"] not in (0, None)
        assert int(seen["caps"], 16) == int(seen["bounds"], 16) == 0
        assert seen["no_new_privs"] == "1"
        assert seen["root"] == seen["opt"] == "Read-only file system"
        assert seen["input"] in ("Permission denied", "Read-only file system")
        assert seen["request"] in ("Permission denied", "Read-only file system")
        assert set(seen["elsewhere"].values()) <= {
            "Permission denied",
            "Read-only file system",
            "No such file or directory",
        }
        assert seen["scratch"] == "written"
        assert seen["interfaces"] == ["lo"]
        assert "unreachable" in seen["network"]
        assert seen["pids"].strip() == "512"
        assert seen["env"]["OMP_NUM_THREADS"] == "1"
        assert not {name for name in seen["env"] if name.startswith(("AIRFLOW", "AWS", "MLFLOW"))}


def test_a_stage_may_start_helpers_in_a_container(workspace: Path, copying: DockerRunner) -> None:
    _, result, _ = run(copying, job(workspace, "parallel", memory_mb=1024))
    assert result.report == {"squares": [0, 1, 4, 9]}


@pytest.mark.parametrize("place", ["copying", "mounting"])
def test_secrets_reach_the_stage_and_nothing_else(place: str, workspace: Path, request: pytest.FixtureRequest) -> None:
    runner: Runner = request.getfixturevalue(place)
    asked = job(workspace, "whisper")
    job_id = runner.submit(asked, {"token": SecretStr("hunter2-hunter2")})
    log = list(runner.stream_logs(job_id))
    shown = subprocess.run(["docker", "inspect", asked.name], capture_output=True, text=True, check=True).stdout
    body = runner.result(job_id, asked.outputs)
    written = b"".join(path.read_bytes() for path in workspace.rglob("*") if path.is_file())
    runner.remove(job_id)
    assert json.loads(body)["report"] == {"letters": 15, "names": ["token"]}
    assert "hunter2" not in shown + body.decode() + job_id + "".join(line.text for line in log)
    assert b"hunter2" not in written


@pytest.mark.parametrize("place", PLACES)
def test_lines_arrive_while_the_stage_runs_with_their_levels(
    place: str, workspace: Path, request: pytest.FixtureRequest
) -> None:
    runner: Runner = request.getfixturevalue(place)
    job_id = runner.submit(job(workspace, "talk"), {})
    arrived: list[tuple[float, LogLine]] = [(time.monotonic(), line) for line in runner.stream_logs(job_id)]
    again = list(runner.stream_logs(job_id))
    runner.remove(job_id)
    lines = [(line.level, line.text) for _, line in arrived]
    assert {(20, "plain out"), (30, "plain err"), (40, "bad"), (40, "worse")} <= set(lines)
    bar = [at for at, line in arrived if line.text.endswith("of 3")]
    assert len(bar) == 3
    assert bar[2] - bar[0] > 0.3
    assert sorted(lines) == sorted((line.level, line.text) for line in again)


@pytest.mark.parametrize("place", PLACES)
def test_inputs_may_lie_outside_of_the_workspace(place: str, workspace: Path, request: pytest.FixtureRequest) -> None:
    own = workspace.parent / "own"
    (own / "__pycache__").mkdir(parents=True)
    (own / "probe.py").write_text(CODE)
    (own / "probe.py").chmod(0o600)
    asked = job(workspace, "sums")
    asked = asked.model_copy(update={"inputs": {**asked.inputs, "code": own}})
    assert run(request.getfixturevalue(place), asked)[0] is JobState.DONE


def test_several_jobs_run_at_once(workspace: Path, copying: DockerRunner) -> None:
    answers: dict[int, int] = {}

    def one(number: int) -> None:
        runner = DockerRunner(deployment=DEPLOYMENT, workspace=workspace)
        asked = job(workspace, "sums", params={"number": number})
        asked = asked.model_copy(
            update={"name": f"{asked.name}-{number}", "outputs": asked.outputs.with_name(f"sums-{number}")}
        )
        _, result, _ = run(runner, asked)
        answers[number] = result.report["params"]["number"]  # type: ignore[call-overload, index, assignment]
        runner.client.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(4)}
