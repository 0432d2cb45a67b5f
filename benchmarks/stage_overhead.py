"""Measure what running a no-op stage costs: ours, the stock DockerOperator and bare ``docker``, on the same image.

Run ``python benchmarks/stage_overhead.py [ROUNDS]`` with a Docker engine and the stage image. Every way runs the same
function on the same request and ends when the result is in the worker's hands and the container is gone. Files are
either mounted (worker and engine see the same workspace) or copied through the engine's API (they do not); the stock
operator can only mount. ``docker`` gets the very limits that our containers have; the stock operator those that it
knows, which leaves its container less to set up.

The ways take turns within each round, in an order that is drawn anew, and are compared round by round: a machine that
is busy for a while slows all of them alike, and what is reported is the median of the differences with its 95 %
confidence interval in brackets.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from io import BytesIO
from math import sqrt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "plugins"))
HOME = tempfile.TemporaryDirectory(prefix="understudy-bench-")
WORKSPACE = Path(HOME.name) / "home" / "workspace"
os.environ.update(
    AIRFLOW_HOME=f"{HOME.name}/airflow",
    UNDERSTUDY_HOME=f"{HOME.name}/home",
    AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
    AIRFLOW__UNDERSTUDY__ISOLATION="docker",
)
CODE = """
from understudy.stages import StageOutput, stage

@stage
def noop(context):
    return StageOutput(report={"ok": True})
"""
IMPORT_BUDGET_S, OVER_BARE_BUDGET_S = 0.5, 0.3
MOUNTED, COPIED = "mounted", "copied"
BARE, STOCK, RUNNER, OPERATOR = "bare docker", "stock DockerOperator", "our DockerRunner", "our StageOperator"


@dataclass(frozen=True)
class Way:
    """Name a way to run the stage, and how its files travel."""

    name: str
    files: str
    work: Callable[[], None]


def prepare(image: str) -> Any:
    from understudy.contract.stage import StageRequest, artefact_of
    from understudy.runners.protocol import Job, Resources

    code = WORKSPACE / "code"
    code.mkdir(parents=True)
    (code / "noop.py").write_text(CODE)
    request = StageRequest(
        stage="noop:noop",
        model="bench",
        run="r",
        as_of=datetime(2026, 1, 1, tzinfo=timezone.utc),
        inputs={"code": artefact_of(code, WORKSPACE)},
    )
    (WORKSPACE / "request.json").write_text(request.model_dump_json())
    for name in ("result", "out"):
        (WORKSPACE / name).mkdir()
        (WORKSPACE / name).chmod(0o777)
    for path in (Path(HOME.name), WORKSPACE.parent, WORKSPACE, code):
        path.chmod(0o755)
    limits = Resources(memory_bytes=2 << 30, cpus=1, timeout=timedelta(minutes=5))
    return Job(
        name=f"bench-{os.getpid()}",
        request=request,
        image=image,
        inputs={"code": code},
        outputs=WORKSPACE / "bench" / "out",
        resources=limits,
    )


def limits_of(job: Any) -> list[str]:
    """Write the limits of our containers as options of ``docker run``."""
    from understudy.runners.container import stage_user
    from understudy.runners.environment import stage_environment

    memory = str(job.resources.memory_bytes)
    uid, gid = stage_user()
    given = {
        "--network": "none",
        "--cap-drop": "ALL",
        "--security-opt": "no-new-privileges:true",
        "--pids-limit": "512",
        "--memory": memory,
        "--memory-swap": memory,
        "--cpus": "1",
        "--shm-size": str(job.resources.shm_bytes),
        "--tmpfs": f"/tmp:rw,nosuid,nodev,noexec,mode=1777,size={job.resources.memory_bytes // 2}",
        "--user": f"{uid}:{gid}",
        "--workdir": "/tmp",
    }
    environment = {**stage_environment(job, has_secrets=False), "HOME": "/tmp"}
    options = [word for pair in given.items() for word in pair]
    return ["--read-only", "--init", *options, *(f"--env={name}={value}" for name, value in environment.items())]


def read_and_remove(path: Path) -> None:
    assert json.loads(path.read_bytes())["report"] == {"ok": True}
    path.unlink()


def docker(*words: str, content: bytes | None = None) -> bytes:
    return subprocess.run(["docker", *words], check=True, capture_output=True, input=content).stdout


def bare_ways(job: Any) -> list[Way]:
    from understudy.runners.archive import pack
    from understudy.runners.container import stage_user
    from understudy.runners.copied import CopiedFiles, entries_of

    limits = limits_of(job)
    mounts = [
        option
        for name, target, mode in (
            ("request.json", "/understudy/request.json", "ro"),
            ("code", "/understudy/inputs/code", "ro"),
            ("out", "/understudy/outputs", "rw"),
            ("result", "/airflow/xcom", "rw"),
        )
        for option in ("-v", f"{WORKSPACE / name}:{target}:{mode}")
    ]
    copied = [f"--env={name}={value}" for name, value in CopiedFiles.environment.items()]

    def mounted() -> None:
        docker("run", "--rm", *limits, *mounts, job.image)
        read_and_remove(WORKSPACE / "result" / "return.json")

    def by_copying() -> None:
        name = f"{job.name}-bare"
        docker("create", "--name", name, *limits, *copied, "-v", "/understudy", job.image)
        docker("cp", "-", f"{name}:/understudy", content=b"".join(pack(entries_of(job, stage_user()))))
        docker("start", "--attach", name)
        with tarfile.open(fileobj=BytesIO(docker("cp", f"{name}:/understudy/answer", "-"))) as answer:
            answer.extractall(WORKSPACE / "fetched", filter="data")
        docker("rm", "--volumes", name)
        read_and_remove(WORKSPACE / "fetched" / "answer" / "return.json")
        shutil.rmtree(WORKSPACE / "fetched")

    return [Way(BARE, MOUNTED, mounted), Way(BARE, COPIED, by_copying)]


def stock_way(job: Any) -> Way:
    from airflow.providers.docker.operators.docker import DockerOperator
    from docker.types import Mount

    from understudy.runners.container import stage_user
    from understudy.runners.environment import stage_environment

    uid, gid = stage_user()
    targets = {
        "request.json": "/understudy/request.json",
        "code": "/understudy/inputs/code",
        "out": "/understudy/outputs",
        "result": "/airflow/xcom",
    }

    def stock() -> None:
        DockerOperator(
            task_id="t",
            image=job.image,
            network_mode="none",
            auto_remove="force",
            mount_tmp_dir=False,
            user=f"{uid}:{gid}",
            working_dir="/tmp",
            mem_limit=job.resources.memory_bytes,
            shm_size=job.resources.shm_bytes,
            environment={**stage_environment(job, has_secrets=False), "HOME": "/tmp"},
            mounts=[Mount(target, str(WORKSPACE / name), type="bind") for name, target in targets.items()],
        ).execute(context())
        read_and_remove(WORKSPACE / "result" / "return.json")

    return Way(STOCK, MOUNTED, stock)


def our_ways(job: Any) -> list[Way]:
    from understudy.operators.stage.stage import StageOperator
    from understudy.runners.choose import choose_runner
    from understudy.runners.process import ProcessRunner
    from understudy.settings import settings

    def run_with(place: Any) -> None:
        job_id = place.submit(job, {})
        for _ in place.stream_logs(job_id):
            pass
        assert json.loads(place.result(job_id, job.outputs))["report"] == {"ok": True}
        place.remove(job_id)

    def operator() -> None:
        task = StageOperator(task_id="t", stage="noop:noop", model="bench", inputs={"code": "code"}, image=job.image)
        assert task.execute(context())["report"] == {"ok": True}

    def runner_way(files: str) -> Way:
        deploy(files)
        runner = choose_runner("docker", settings())
        return Way(RUNNER, files, lambda: run_with(runner))

    processes = ProcessRunner(jobs=WORKSPACE / ".jobs")
    return [
        *(runner_way(files) for files in (MOUNTED, COPIED)),
        *(Way(OPERATOR, files, operator) for files in (MOUNTED, COPIED)),
        Way("our ProcessRunner", "shared", lambda: run_with(processes)),
    ]


def deploy(files: str) -> None:
    """Say whether the engine sees the workspace."""
    from understudy.settings import settings

    os.environ["AIRFLOW__UNDERSTUDY__WORKSPACE_ON_DAEMON"] = str(WORKSPACE) if files == MOUNTED else ""
    settings.cache_clear()
    settings()


def context() -> Any:
    ti = SimpleNamespace(
        dag_id="d", task_id="t", run_id="r", map_index=-1, try_number=1, max_tries=0, stats_tags={}, xcom_push=print
    )
    run = SimpleNamespace(run_after=datetime(2026, 1, 1, tzinfo=timezone.utc))
    return {"ti": ti, "run_id": "r", "dag_run": run, "params": {}}


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(chosen: list[Way], rounds: int) -> dict[tuple[str, str], list[float]]:
    taken: dict[tuple[str, str], list[float]] = {(way.name, way.files): [] for way in chosen}
    draw = random.Random(0)
    for number in range(rounds + 1):
        for way in draw.sample(chosen, len(chosen)):
            deploy(way.files)
            spent = seconds(way.work)
            if number:  # the first round warms up
                taken[way.name, way.files].append(spent)
    return taken


def paired(ours: list[float], others: list[float]) -> tuple[float, float, float]:
    """Give the median of the differences and its 95 % interval, by order statistics."""
    differences = sorted(a - b for a, b in zip(ours, others, strict=True))
    reach = 0.98 * sqrt(len(differences))
    low = max(0, int(len(differences) / 2 - reach))
    return statistics.median(differences), differences[low], differences[len(differences) - 1 - low]


def import_time(command: list[str], environment: dict[str, str]) -> float:
    """Take the wall time of a Python that imports the entry point, minus that of one that imports nothing."""

    def once(program: str) -> float:
        return seconds(
            lambda: subprocess.run([*command, "-c", program], check=True, capture_output=True, env=environment)
        )

    pairs = [once("import understudy.stages.entry") - once("pass") for _ in range(9)]
    return statistics.median(pairs)


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    from understudy.settings import settings

    image, rounds = settings().image, int(sys.argv[1]) if len(sys.argv) > 1 else 40
    job = prepare(image)
    taken = measure([*bare_ways(job), stock_way(job), *our_ways(job)], rounds)
    table = Table(title=f"A no-op stage, submit to result, {rounds} rounds ({image})")
    for column in ("way", "files", "median s", "min s", "max s", "over bare docker s", "over the stock operator s"):
        table.add_column(column, justify="left" if column in ("way", "files") else "right")
    for (name, files), times in taken.items():
        row = [name, files, *(f"{number:.3f}" for number in (statistics.median(times), min(times), max(times)))]
        bare, stock = taken[BARE, COPIED if files == COPIED else MOUNTED], taken[STOCK, MOUNTED]
        over = [
            "" if times is base else "{:+.3f} ({:+.3f} to {:+.3f})".format(*paired(times, base))
            for base in (bare, stock)
        ]
        table.add_row(*row, *over)
    console = Console()
    console.print(table)
    over_stock = paired(taken[OPERATOR, MOUNTED], taken[STOCK, MOUNTED])[0]
    goals = [(f"mounted, no slower than the stock operator: {over_stock:+.3f} s", over_stock <= 0)]
    for files in (MOUNTED, COPIED):
        over_bare = paired(taken[OPERATOR, files], taken[BARE, files])[0]
        goal = f"{files}, at most {OVER_BARE_BUDGET_S} s over bare docker: {over_bare:+.3f} s"
        goals.append((goal, over_bare <= OVER_BARE_BUDGET_S))
    imports = import_time([sys.executable], {"PYTHONPATH": str(ROOT / "plugins")})
    goals.append(
        (f"import of the entry point at most {IMPORT_BUDGET_S} s: {imports:.3f} s", imports <= IMPORT_BUDGET_S)
    )
    for goal, is_met in goals:
        console.print(f"[{'green' if is_met else 'red'}]{'met   ' if is_met else 'missed'}[/] {goal}")


if __name__ == "__main__":
    main()
