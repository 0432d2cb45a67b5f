"""Stages that look around, misbehave or give an answer, and how they are run."""

import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from understudy import __version__
from understudy.contract.stage import StageRequest, StageResult, artefact_of
from understudy.contract.words import JobState
from understudy.runners.docker import DockerRunner
from understudy.runners.protocol import Job, LogLine, Resources, Runner

IMAGE = f"understudy-stage:{__version__}"


DEPLOYMENT = f"e2e-{os.getpid()}"


PLACES = ("copying", "mounting", "processes")


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
