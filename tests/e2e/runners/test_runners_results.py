"""What is taken of what a stage leaves behind."""

import time
from pathlib import Path

import pytest

from tests.e2e.runners.probes import PLACES, job, run
from understudy.contract.words import JobState
from understudy.runners.docker import DockerRunner
from understudy.runners.errors import (
    InputGone,
    LinkLeadsOut,
    ResultMissing,
    ResultTooLarge,
    UnsafeOutputs,
)
from understudy.runners.process import ProcessRunner
from understudy.runners.protocol import Runner

pytestmark = pytest.mark.docker


def test_results_that_are_too_large_or_missing_are_refused(
    workspace: Path, copying: DockerRunner, mounting: DockerRunner, processes: ProcessRunner
) -> None:
    for runner in (copying, mounting, processes):
        with pytest.raises(ResultTooLarge):
            run(runner, job(workspace, "forge"))
        with pytest.raises(ResultMissing):
            run(runner, job(workspace, "silent"))
        asked = job(workspace, "verbose")
        job_id = runner.submit(asked, {})
        log = [line.text for line in runner.stream_logs(job_id)]
        assert runner.status(job_id).state is JobState.BROKEN
        assert "2,000,000 are allowed" in log[-1]
        runner.remove(job_id)


def test_links_in_the_outputs_are_refused_everywhere(
    workspace: Path, copying: DockerRunner, mounting: DockerRunner, processes: ProcessRunner
) -> None:
    for runner in (copying, mounting, processes):
        with pytest.raises(UnsafeOutputs, match="passwd"):
            run(runner, job(workspace, "link"))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("function", ["linked_result", "piped_result"])
def test_a_result_that_is_a_trap_is_not_read(
    place: str, function: str, workspace: Path, request: pytest.FixtureRequest
) -> None:
    begun = time.monotonic()
    with pytest.raises((ResultMissing, UnsafeOutputs)):
        run(request.getfixturevalue(place), job(workspace, function))
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("place", PLACES)
def test_a_job_leaves_nothing_in_the_workspace_but_its_outputs(
    place: str, workspace: Path, request: pytest.FixtureRequest
) -> None:
    runner: Runner = request.getfixturevalue(place)
    run(runner, job(workspace, "sums"))
    runner.kill(runner.submit(job(workspace, "sleep"), {}))
    gone = job(workspace, "sums").model_copy(update={"inputs": {"numbers": workspace / "gone"}})
    with pytest.raises(InputGone, match="'numbers'"):
        runner.submit(gone, {})
    left = {path.relative_to(workspace).as_posix() for path in workspace.rglob("*") if path.is_file()}
    files = {"deep/sum.txt", *(f"tree/{n}.bin" for n in range(3))}
    assert left == {"m/code/probe.py", "m/numbers.txt", *(f"m/out/sums/{name}" for name in files)}
    assert [path for folder in (".containers", ".jobs") for path in (workspace / folder).glob("*")] == []


def test_a_refusal_is_an_answer(workspace: Path, copying: DockerRunner) -> None:
    state, result, log = run(copying, job(workspace, "refuse"))
    assert state is JobState.REFUSED
    assert result.refusal is not None
    assert result.refusal.field == "data.target"
    assert [line.text for line in log] == ["Refused: column 'up' is all null"]


@pytest.mark.parametrize("place", PLACES)
def test_a_link_out_of_an_input_is_refused_before_anything_is_made(
    place: str, workspace: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    runner: Runner = request.getfixturevalue(place)
    (tmp_path / "secret").write_text("TOPSECRET")
    asked = job(workspace, "sums")
    (workspace / "m" / "code" / "note.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(LinkLeadsOut, match=r"'note\.txt' in .*code leads out"):
        runner.submit(asked, {})
    assert runner.leftovers() == []


@pytest.mark.parametrize("place", PLACES)
def test_code_is_found_through_a_link_that_stays_in_its_folder(
    place: str, workspace: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    elsewhere = tmp_path / "elsewhere" / "code"  # not in the workspace, so that it is copied in every place
    elsewhere.parent.mkdir()
    (workspace / "m" / "code").rename(elsewhere)
    (elsewhere / "probe.py").rename(elsewhere / "real.py")
    (elsewhere / "probe.py").symlink_to("real.py")
    (workspace / "m" / "code").symlink_to(elsewhere)
    state, result, _ = run(request.getfixturevalue(place), job(workspace, "sums"))
    assert (state, result.report["sum"]) == (JobState.DONE, 42)
