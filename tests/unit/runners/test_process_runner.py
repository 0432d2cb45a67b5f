"""Stages as processes; what both runners must do alike is in tests/e2e/runners."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.unit.runners.small_stages import job, report, site, wait_for_a_fork
from understudy.contract.words import JobState
from understudy.runners import process
from understudy.runners.errors import InputGone, ResultMissing
from understudy.runners.nursery import nursery
from understudy.runners.process import ProcessRunner
from understudy.runners.supervise import LINUX, members, started

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"


@pytest.fixture(scope="module")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if not LINUX:
        pytest.skip("stages are forked on Linux only")
    with nursery():
        wait_for_a_fork(site(tmp_path_factory.mktemp("warm")))
        yield


@pytest.fixture(params=["alone", "forked"])
def runner(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessRunner]:
    runner = ProcessRunner(jobs=site(tmp_path) / "jobs")
    if request.param == "forked":
        request.getfixturevalue("forking")
        monkeypatch.setattr(ProcessRunner, "_begin_alone", None)  # whatever starts alone shows here
    else:
        monkeypatch.setattr(process, "forked", lambda *_: False)
    yield runner
    for left in runner.leftovers():
        runner.kill(left["id"])


def test_the_environment_holds_nothing_of_the_worker(
    runner: ProcessRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "secret://")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seen = report(runner, job(tmp_path, "surroundings"), {"token": SecretStr("hunter2")})
    allowed = (
        "UNDERSTUDY_",
        "OMP_",
        "OPENBLAS_",
        "MKL_",
        "NUMEXPR_",
        "VECLIB_",
        "POLARS_",
        "RAYON_",
        "LOKY_",
        "PYTHON",
    )
    others = {name for name in seen["env"] if not name.startswith(allowed)}
    assert others <= {"PATH", "LANG", "LC_CTYPE", "TZ", "HOME", "TMPDIR", "MPLCONFIGDIR", "LD_LIBRARY_PATH"}
    assert seen["env"]["OMP_NUM_THREADS"] == "2"
    assert seen["cwd"] == str(tmp_path / "jobs" / "job-surroundings" / "work")
    assert seen["session"]
    assert (seen["letters"], seen["stdin"]) == (7, "")


def test_fonts_that_one_stage_has_found_the_next_one_knows_and_nothing_else(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    first = report(runner, job(tmp_path, "looks_for_fonts"))
    assert first["fonts"] > 0
    kept = sorted(path.name for path in runner.fonts.iterdir())
    assert kept == first["known"]
    (made,) = runner.fonts.iterdir()
    made.write_text(made.read_text().replace('"DejaVu Sans"', '"Known From Before"'), encoding="utf-8")
    assert report(runner, job(tmp_path, "looks_for_fonts")) == first  # no matplotlibrc of the first
    # It did not look again: that would have replaced the list.
    assert "Known From Before" in made.read_text(encoding="utf-8")


def test_secrets_are_stored_nowhere(runner: ProcessRunner, tmp_path: Path) -> None:
    asked = job(tmp_path, "sleep")
    job_id = runner.submit(asked, {"token": SecretStr("hunter2-hunter2")})
    next(runner.stream_logs(job_id))
    pid = json.loads(job_id)["pid"]
    written = b"".join(path.read_bytes() for path in (tmp_path / "jobs").rglob("*") if path.is_file())
    shown = (
        Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        if os.path.isdir("/proc")
        else b""
    )
    assert b"hunter2" not in written + shown + job_id.encode()


SUBMIT_AND_DIE = """
import os, pickle, signal, sys
runner, job = pickle.load(open(sys.argv[1], "rb"))
open(sys.argv[2], "w").write(runner.submit(job, {}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_job_survives_the_death_of_its_worker(runner: ProcessRunner, tmp_path: Path) -> None:
    import pickle

    asked = job(tmp_path, "sleep", seconds=1)
    (tmp_path / "job.pickle").write_bytes(pickle.dumps((runner, asked)))
    died = subprocess.run(
        [sys.executable, "-c", SUBMIT_AND_DIE, str(tmp_path / "job.pickle"), str(tmp_path / "id")],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)}, check=False,
    )  # fmt: skip
    job_id = (tmp_path / "id").read_text()
    assert died.returncode == -signal.SIGKILL
    assert runner.find(asked.name) == job_id
    assert runner.status(job_id).state is JobState.RUNNING
    assert [line.text for line in runner.stream_logs(job_id)] == ["asleep"]
    assert runner.status(job_id).labels == {"dag_id": "d", "name": "job-sleep"}
    assert json.loads(runner.result(job_id, asked.outputs))["report"] == {"slept": True}


def test_a_supervisor_that_is_killed_leaves_no_stage_behind_after_a_kill(runner: ProcessRunner, tmp_path: Path) -> None:
    job_id = runner.submit(job(tmp_path, "sleep"), {})
    next(runner.stream_logs(job_id))
    supervisor = json.loads(job_id)["pid"]
    os.kill(supervisor, signal.SIGKILL)
    while started(supervisor) is not None:
        time.sleep(0.01)
    assert runner.status(job_id).state is JobState.BROKEN
    runner.kill(job_id)
    assert members(supervisor) == {}


def await_end(helper: int) -> None:
    deadline = time.monotonic() + 30
    while started(helper) is not None:  # it was killed; on a busy machine its death takes a moment
        assert time.monotonic() < deadline, "the helper outlived its stage"
        time.sleep(0.01)


def test_helpers_end_with_their_stage(runner: ProcessRunner, tmp_path: Path) -> None:
    await_end(report(runner, job(tmp_path, "leaves_a_helper"))["helper"])


@pytest.mark.skipif(not LINUX, reason="only Linux lets a supervisor adopt what has left its stage")
def test_helpers_that_left_their_session_and_their_parent_end_with_their_stage(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    await_end(report(runner, job(tmp_path, "leaves_a_daemon", seconds=0))["helper"])
    job_id = runner.submit(job(tmp_path, "leaves_a_daemon", seconds=60), {})
    helper = int(next(runner.stream_logs(job_id)).text)
    assert started(helper) is not None
    runner.kill(job_id)
    await_end(helper)


def test_the_memory_of_helpers_counts(runner: ProcessRunner, tmp_path: Path) -> None:
    job_id = runner.submit(job(tmp_path, "helpers_hog", memory_mb=300), {})
    list(runner.stream_logs(job_id))
    assert runner.status(job_id).state is JobState.OUT_OF_MEMORY


def test_a_number_that_another_process_has_now_is_not_taken_for_the_job(runner: ProcessRunner, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "old"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({"labels": {}, "submitted": 0}))
    stranger = json.dumps({"pid": os.getpid(), "started": "0", "dir": str(folder)})
    assert runner.status(stranger).state is JobState.BROKEN
    runner.kill(stranger)
    assert not folder.exists()


def test_a_job_that_never_started_is_told_from_one_that_is_gone(runner: ProcessRunner, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "half"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({"labels": {}, "submitted": 0}))
    assert runner.status(runner.find("half") or "").state is JobState.CREATED
    assert runner.find("nobody") is None
    with pytest.raises(ResultMissing):
        runner.result(runner.find("half") or "", tmp_path)


def test_a_missing_input_is_named_before_anything_starts(runner: ProcessRunner, tmp_path: Path) -> None:
    asked = job(tmp_path, "sleep").model_copy(update={"inputs": {"code": tmp_path / "nowhere"}})
    with pytest.raises(InputGone, match="'code'"):
        runner.submit(asked, {})
    assert runner.leftovers() == []


def test_the_installation_has_a_digest(runner: ProcessRunner) -> None:
    assert runner.image_digest("any") == runner.image_digest("other")
    assert runner.image_digest("any").startswith("process:")
