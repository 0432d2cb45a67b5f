"""Stages in real containers: hermetic, resumable, killable, and the same answer as everywhere else."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from understudy import __version__
from understudy.contract.stage import StageRequest, StageResult, artefact_of
from understudy.contract.words import JobState
from understudy.runners.container_facts import ContainerId
from understudy.runners.docker import DockerRunner
from understudy.runners.errors import (
    EngineUnreachable,
    GpuUnavailable,
    ImageMissing,
    ImageWithoutEntryPoint,
    InputGone,
    NetworkMissing,
    ResultMissing,
    ResultTooLarge,
    TooManyCpus,
    UnsafeOutputs,
    WorkspaceNotOnDaemon,
)
from understudy.runners.process import ProcessRunner
from understudy.runners.protocol import Job, LogLine, Resources, Runner

pytestmark = pytest.mark.docker

IMAGE = f"understudy-stage:{__version__}"
PLACES = ("copying", "mounting", "processes")
PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
DEPLOYMENT = f"e2e-{os.getpid()}"
CODE = """
import json, logging, os, socket, sys, time
from pathlib import Path
from understudy.stages import Refused, StageOutput, stage


@stage
def sums(context):
    rows = [int(line) for line in (context.inputs["numbers"]).read_text().split()]
    (context.outputs / "deep").mkdir()
    (context.outputs / "deep" / "sum.txt").write_text(str(sum(rows)))
    (context.outputs / "tree").mkdir()
    for n in range(3):
        (context.outputs / "tree" / f"{n}.bin").write_bytes(bytes(1000 * n))
    return StageOutput(report={"sum": sum(rows), "nothing": float("nan"), "params": context.request.params},
                       outputs={"sum": context.outputs / "deep" / "sum.txt", "tree": context.outputs / "tree"})


def tries(path):
    try:
        Path(path).write_text("x")
    except OSError as refused:
        return refused.strerror
    return "written"


@stage
def surroundings(context):
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
    pids = [Path("/sys/fs/cgroup/pids.max"), Path("/sys/fs/cgroup/pids/pids.max")]
    try:
        socket.create_connection(("1.1.1.1", 80), timeout=2).close()
        network = "reached"
    except OSError as refused:
        network = refused.strerror or str(refused)
    return StageOutput(report={
        "uid": os.getuid(), "caps": status["CapEff"], "bounds": status["CapBnd"], "no_new_privs": status["NoNewPrivs"],
        "root": tries("/x"), "opt": tries("/opt/understudy/x"), "scratch": tries("/tmp/x"),
        "input": tries(context.inputs["numbers"]),
        "request": tries("/understudy/request.json"),
        "elsewhere": {name: tries(f"{name}/x") for name in ("/understudy", "/understudy/inputs", "/airflow", "/etc")},
        "network": network, "interfaces": sorted(os.listdir("/sys/class/net")), "env": dict(os.environ),
        "pids": next(path for path in pids if path.exists()).read_text(),
    })


@stage
def parallel(context):
    from joblib import Parallel, delayed
    return StageOutput(report={"squares": Parallel(n_jobs=2)(delayed(pow)(n, 2) for n in range(4))})


@stage
def whisper(context):
    print("the secret has", len(context.secrets["token"]), "letters")
    return StageOutput(report={"letters": len(context.secrets["token"]), "names": sorted(context.secrets)})


@stage
def talk(context):
    print("plain out")
    print("plain err", file=sys.stderr)
    logging.getLogger("team").error("bad\\nworse")
    for step in range(3):
        sys.stderr.write(f"\\r{step + 1} of 3")
        time.sleep(0.3)
    return StageOutput(report={})


@stage
def hog(context):
    kept = []
    while True:
        kept.append(bytearray(16 << 20))


@stage
def giant(context):
    import numpy
    numpy.zeros(1 << 45)


@stage
def sleep(context):
    print("asleep")
    time.sleep(context.request.params.get("seconds", 120))
    return StageOutput(report={"slept": True})


@stage
def stubborn(context):
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(120)


@stage
def verbose(context):
    return StageOutput(report={"text": "x" * 3_000_000})


@stage
def forge(context):
    result_path().write_text("x" * 2_100_000)
    os._exit(0)


def result_path():
    return Path(os.environ.get("UNDERSTUDY_RESULT", "/airflow/xcom/return.json"))


@stage
def linked_result(context):
    result_path().symlink_to("/etc/passwd")
    os._exit(0)


@stage
def piped_result(context):
    os.mkfifo(result_path())
    os._exit(0)


@stage
def link(context):
    (context.outputs / "passwd").symlink_to("/etc/passwd")
    return StageOutput(report={})


@stage
def refuse(context):
    raise Refused("column 'up' is all null", "data.target")


@stage
def silent(context):
    os._exit(0)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    code = tmp_path / "workspace" / "m" / "code"
    code.mkdir(parents=True)
    (code / "probe.py").write_text(CODE)
    (tmp_path / "workspace" / "m" / "numbers.txt").write_text("1\n2\n39\n")
    return tmp_path / "workspace"


@pytest.fixture
def copying(workspace: Path) -> Iterator[DockerRunner]:
    runner = DockerRunner(deployment=DEPLOYMENT, workspace=workspace)
    yield runner
    for left in runner.leftovers():
        runner.kill(left["id"])
    runner.client.close()


@pytest.fixture
def mounting(workspace: Path) -> Iterator[DockerRunner]:
    for folder in (workspace, *workspace.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)  # pytest's folders are closed to the container's user
    runner = DockerRunner(deployment=DEPLOYMENT, workspace=workspace, workspace_on_daemon=str(workspace))
    yield runner
    for left in runner.leftovers():
        runner.kill(left["id"])
    runner.client.close()


@pytest.fixture
def processes(workspace: Path) -> ProcessRunner:
    return ProcessRunner(jobs=workspace / ".jobs")


def job(workspace: Path, function: str, *, memory_mb: int = 256, **kwargs: Any) -> Job:
    inputs = {"code": workspace / "m" / "code", "numbers": workspace / "m" / "numbers.txt"}
    request = StageRequest(
        stage=f"probe:{function}",
        model="m",
        run="r",
        as_of=datetime(2026, 1, 1, tzinfo=timezone.utc),
        inputs={name: artefact_of(path, workspace) for name, path in inputs.items()},
        params=kwargs.pop("params", {}),
    )
    limits = {"cpus": 1.0, "timeout": timedelta(seconds=60), **kwargs.pop("limits", {})}
    return Job(
        name=f"{DEPLOYMENT}-{function}",
        request=request,
        image=kwargs.pop("image", IMAGE),
        inputs=inputs,
        outputs=workspace / "m" / "out" / function,
        resources=Resources(memory_bytes=memory_mb << 20, **limits),
        **kwargs,
    )


def run(
    runner: Runner, asked: Job, secrets: dict[str, SecretStr] | None = None
) -> tuple[JobState, StageResult, list[LogLine]]:
    job_id = runner.submit(asked, secrets or {})
    try:
        log = list(runner.stream_logs(job_id))
        state = runner.status(job_id).state
        return state, StageResult.model_validate_json(runner.result(job_id, asked.outputs)), log
    finally:
        runner.remove(job_id)


def volumes() -> set[str]:
    return set(
        subprocess.run(["docker", "volume", "ls", "-q"], capture_output=True, text=True, check=True).stdout.split()
    )


def volumes_of(runner: Runner, job_id: str) -> set[str]:
    """List the volumes of a job's own container: other tests make some of theirs meanwhile."""
    if not isinstance(runner, DockerRunner):
        return set()
    mounts = runner.client.inspect_container(json.loads(job_id)["container"])["Mounts"]
    return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}


@pytest.fixture
def own_volumes(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Note the volumes of each container that is removed."""
    noted: set[str] = set()
    remove = DockerRunner.remove

    def noting(runner: DockerRunner, job_id: str) -> None:
        noted.update(volumes_of(runner, job_id))
        remove(runner, job_id)

    monkeypatch.setattr(DockerRunner, "remove", noting)
    return noted


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


@pytest.mark.parametrize("place", PLACES)
def test_inputs_may_lie_outside_of_the_workspace(place: str, workspace: Path, request: pytest.FixtureRequest) -> None:
    own = workspace.parent / "own"
    (own / "__pycache__").mkdir(parents=True)
    (own / "probe.py").write_text(CODE)
    (own / "probe.py").chmod(0o600)
    asked = job(workspace, "sums")
    asked = asked.model_copy(update={"inputs": {**asked.inputs, "code": own}})
    assert run(request.getfixturevalue(place), asked)[0] is JobState.DONE


@pytest.fixture
def network() -> Iterator[str]:
    name = f"{DEPLOYMENT}-network"
    subprocess.run(["docker", "network", "create", "--internal", name], check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "network", "rm", name], check=True, capture_output=True)


def test_a_stage_that_needs_the_network_gets_the_deployments_and_no_other_does(workspace: Path, network: str) -> None:
    runner = DockerRunner(deployment=DEPLOYMENT, workspace=workspace, network=network)
    _, alone, _ = run(runner, job(workspace, "surroundings"))
    assert alone.report["interfaces"] == ["lo"]
    asked = job(workspace, "sleep", needs_network=True, params={"seconds": 30})
    job_id = runner.submit(asked, {})
    shown = subprocess.run(["docker", "inspect", asked.name], capture_output=True, text=True, check=True).stdout
    runner.kill(job_id)
    assert list(json.loads(shown)[0]["NetworkSettings"]["Networks"]) == [network]
    runner.client.close()


@pytest.mark.usefixtures("copying")  # removes what a failure would leave
def test_a_network_that_the_engine_lacks_has_a_name(workspace: Path) -> None:
    runner = DockerRunner(deployment=DEPLOYMENT, workspace=workspace, network="no-such-network")
    with pytest.raises(NetworkMissing, match=r"no-such-network.*AIRFLOW__UNDERSTUDY__NETWORK"):
        runner.submit(job(workspace, "sums", needs_network=True), {})
    assert runner.leftovers() == []
    runner.client.close()


def test_a_refusal_is_an_answer(workspace: Path, copying: DockerRunner) -> None:
    state, result, log = run(copying, job(workspace, "refuse"))
    assert state is JobState.REFUSED
    assert result.refusal is not None
    assert result.refusal.field == "data.target"
    assert [line.text for line in log] == ["Refused: column 'up' is all null"]


def test_tampered_inputs_are_noticed(workspace: Path, copying: DockerRunner) -> None:
    asked = job(workspace, "sums")
    (workspace / "m" / "numbers.txt").write_text("1\n")
    job_id = copying.submit(asked, {})
    log = [line.text for line in copying.stream_logs(job_id)]
    assert copying.status(job_id).exit_code == 1
    copying.remove(job_id)
    assert "'numbers' was changed" in log[-1]


def test_a_missing_image_and_one_without_the_entry_point_have_names(workspace: Path, copying: DockerRunner) -> None:
    with pytest.raises(ImageMissing, match="no-such-image"):
        copying.submit(job(workspace, "sums", image="no-such-image:1"), {})
    with pytest.raises(ImageWithoutEntryPoint, match=r"org\.understudy\.stage"):
        copying.submit(job(workspace, "sums", image="python:3.11-slim-bookworm"), {})
    assert copying.leftovers() == []


def test_an_image_that_cannot_start_its_command_says_so(workspace: Path, copying: DockerRunner) -> None:
    image = f"{DEPLOYMENT}-broken:1"
    recipe = f'FROM {IMAGE}\nENTRYPOINT ["no-such-program"]\n'
    subprocess.run(
        ["docker", "build", "-q", "-t", image, "-"], input=recipe, text=True, check=True, capture_output=True
    )
    try:
        job_id = copying.submit(job(workspace, "sums", image=image), {})
        log = list(copying.stream_logs(job_id))
        status = copying.status(job_id)
        copying.remove(job_id)
    finally:
        subprocess.run(["docker", "rmi", "-f", image], check=True, capture_output=True)
    assert (status.state, status.exit_code) == (JobState.BROKEN, 127)
    assert "no-such-program" in log[-1].text


def test_what_the_machine_lacks_has_a_name(workspace: Path, copying: DockerRunner) -> None:
    with pytest.raises(TooManyCpus, match="500"):
        copying.submit(job(workspace, "sums", limits={"cpus": 500.0}), {})
    if "nvidia" not in subprocess.run(["docker", "info"], capture_output=True, text=True, check=True).stdout:
        with pytest.raises(GpuUnavailable):
            copying.submit(job(workspace, "sums", limits={"gpus": 1}), {})
    lost = DockerRunner(deployment=DEPLOYMENT, workspace=workspace, workspace_on_daemon="/no/such/place")
    with pytest.raises(WorkspaceNotOnDaemon):
        lost.submit(job(workspace, "sums"), {})
    lost.client.close()
    assert copying.leftovers() == []
    assert list((workspace / ".containers").iterdir()) == []


def test_an_engine_that_is_down_has_a_name(workspace: Path) -> None:
    import docker

    def nowhere(timeout_s: float) -> docker.APIClient:
        return docker.APIClient(base_url="tcp://127.0.0.1:9", version="auto", timeout=timeout_s)  # type: ignore[arg-type]

    runner = DockerRunner(deployment=DEPLOYMENT, workspace=workspace, open_client=nowhere)
    for ask in (
        lambda: runner.submit(job(workspace, "sums"), {}),
        lambda: runner.kill(ContainerId(container="x", name="x", delivery="mounted").write()),
        runner.leftovers,
    ):
        asking: Callable[[], object] = ask
        with pytest.raises(EngineUnreachable, match="refused"):
            asking()


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
