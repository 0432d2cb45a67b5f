"""Small stages of processes, and how they are run and read."""

import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from understudy.contract.stage import StageRequest, artefact_of
from understudy.runners.process import ProcessRunner
from understudy.runners.protocol import Job, Resources

CODE = """
import os, subprocess, sys, time
from understudy.stages import StageOutput, stage


@stage
def surroundings(context):
    return StageOutput(report={"env": dict(os.environ), "cwd": os.getcwd(), "session": os.getsid(0) == os.getppid(),
                               "letters": len(context.secrets.get("token", "")), "stdin": sys.stdin.read(),
                               "is_forked": "pandas" in sys.modules})


@stage
def chances(context):
    import random
    import numpy as np

    return StageOutput(report={"drawn": [random.random(), np.random.rand()]})


@stage
def sleep(context):
    print("asleep")
    time.sleep(context.request.params.get("seconds", 60))
    return StageOutput(report={"slept": True})


@stage
def leaves_a_helper(context):
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    return StageOutput(report={"helper": helper.pid})


@stage
def leaves_a_daemon(context):
    told = context.outputs / "told"
    daemon = "import os, time; os.fork() and os._exit(0); open(%r, 'w').write(str(os.getpid())); time.sleep(60)"
    subprocess.run([sys.executable, "-c", daemon % str(told)], start_new_session=True)
    while not told.exists() or not told.read_text():
        time.sleep(0.01)
    print(told.read_text(), flush=True)
    time.sleep(context.request.params["seconds"])
    return StageOutput(report={"helper": int(told.read_text())})


@stage
def helpers_hog(context):
    subprocess.run([sys.executable, "-c", "kept = bytearray(600 << 20); import time; time.sleep(60)"])
    return StageOutput(report={})


@stage
def looks_for_fonts(context):
    from matplotlib.font_manager import fontManager

    known = os.listdir(os.environ["MPLCONFIGDIR"])
    open(os.environ["MPLCONFIGDIR"] + "/matplotlibrc", "w").write("figure.dpi: 7")
    return StageOutput(report={"known": known, "fonts": len(fontManager.ttflist)})
"""


def site(root: Path) -> Path:
    (root / "code").mkdir()
    (root / "code" / "probe.py").write_text(CODE)
    return root


def job(root: Path, function: str, *, memory_mb: int = 512, cpus: float = 2, **params: Any) -> Job:
    request = StageRequest(
        stage=f"probe:{function}", model="m", run="r", as_of=datetime(2026, 1, 1, tzinfo=timezone.utc), params=params,
        inputs={"code": artefact_of(root / "code", root)},
    )  # fmt: skip
    limits = Resources(memory_bytes=memory_mb << 20, cpus=cpus, timeout=timedelta(seconds=60))
    return Job(name=f"job-{function}", request=request, image="-", inputs={"code": root / "code"}, outputs=root / "out",
               resources=limits, labels={"dag_id": "d"})  # fmt: skip


def report(runner: ProcessRunner, asked: Job, secrets: dict[str, SecretStr] | None = None) -> Any:
    job_id = runner.submit(asked, secrets or {})
    for _ in runner.stream_logs(job_id):
        pass
    body = runner.result(job_id, asked.outputs)
    runner.remove(job_id)
    return json.loads(body)["report"]


def wait_for_a_fork(root: Path, *, cpus: float = 2) -> None:
    """Run stages until one is forked; the first ones start alone while the nursery imports its libraries."""
    runner, deadline = ProcessRunner(jobs=root / "jobs"), time.monotonic() + 300
    while not report(runner, job(root, "surroundings", cpus=cpus))["is_forked"]:
        assert time.monotonic() < deadline, "no stage is forked"
