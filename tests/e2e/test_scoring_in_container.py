"""A model whose library only its image has: trained in it, scored in it, behind a real gateway, on a real engine."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.e2e.engine_door import engine_proxy
from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    Running,
    Traffic,
    Trained,
    bundle,
    lay_out,
    order_of,
    running,
    until,
)
from understudy import __version__
from understudy.contract.stage import StageRequest, artefact_of
from understudy.contract.words import Change, JobState, Role
from understudy.engine_proxy.description import STACK_LABEL
from understudy.gateway.config import GatewayConfig
from understudy.gateway.container_engine import GATEWAY_LABEL, ContainerEngine
from understudy.gateway.containers import Containers
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.places import HAS_OLDER_LIBRARIES
from understudy.gateway.worker import WorkerDied, WorkerRefused, WorkerStart
from understudy.hooks.places.gateway_errors import GatewayRefused
from understudy.runners.docker import DockerRunner
from understudy.runners.protocol import Job, Resources

pytestmark = pytest.mark.docker

STAGE_IMAGE = f"understudy-stage:{__version__}"
IMAGE = f"tides-{os.getpid()}:1"
RECIPE = f"FROM {STAGE_IMAGE}\nCOPY moonlib.py /opt/understudy/moonlib.py\n"
LIBRARY = """
def pull(level):
    return 3 * level + 1
"""
TRAINER = """
import os
import shutil
import moonlib
import numpy as np

class Tide:
    def predict(self, frame):
        level = frame["level"].to_numpy()
        if level[0] == 666:
            os.kill(os.getpid(), 9)
        if level[0] == 777:
            np.ones(4 << 30, dtype=np.uint8).sum()
        return moonlib.pull(level)

def train(frame, params, context):
    return Tide()
"""
SPEC: dict[str, Any] = {
    "model": MODEL,
    "owner": "harbour",
    "task": "regression",
    "data": {"source": "tides.csv", "time": "at", "target": "height"},
    "train": {"trainer": "trainer.py:train", "params": {}, "allow_pickle": True},
    "gates": [{"metric": "mae"}],
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    context = tmp_path_factory.mktemp("image")
    (context / "Dockerfile").write_text(RECIPE)
    (context / "moonlib.py").write_text(LIBRARY)
    told("build", "-q", "-t", IMAGE, str(context))
    yield IMAGE
    told("rmi", "-f", IMAGE)


@pytest.fixture(scope="module")
def trained(image: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train once, by the real stage in the image; the versions differ in their numbers only."""
    home = tmp_path_factory.mktemp("trained")
    code = home / "code"
    code.mkdir()
    (code / "trainer.py").write_text(TRAINER)
    level = np.random.default_rng(1).integers(0, 100, size=200) * 1.0
    at = pd.date_range("2024-01-01", periods=len(level), freq="h")
    pd.DataFrame({"at": at, "level": level, "height": 3 * level + 1}).to_parquet(home / "data.parquet")
    inputs = {"data.parquet": home / "data.parquet", "code": code}
    request = StageRequest(
        stage="train",
        model=MODEL,
        run="r",
        as_of=datetime(2024, 3, 1, tzinfo=timezone.utc),
        spec=json.loads(json.dumps(SPEC)),
        params={"params": {}},
        inputs={name: artefact_of(path, home) for name, path in inputs.items()},
    )
    runner = DockerRunner(deployment=f"e2e-{os.getpid()}", workspace=home)
    job = Job(
        name=f"e2e-{os.getpid()}-tides",
        request=request,
        image=image,
        inputs=inputs,
        outputs=home / "out",
        resources=Resources(memory_bytes=1 << 30, cpus=1.0, timeout=timedelta(minutes=5)),
    )
    job_id = runner.submit(job, {})
    said = "\n".join(line.text for line in runner.stream_logs(job_id))
    until(lambda: runner.status(job_id).state is not JobState.RUNNING)
    assert runner.status(job_id).state is JobState.DONE, said
    runner.result(job_id, job.outputs)
    runner.remove(job_id)
    folder = home / "out" / "model"
    made = bundle(1, artefact_of(folder, folder.parent).sha256)
    made = made.model_copy(update={"image_digest": runner.image_digest(image), "own_image": image})
    runner.client.close()
    return {version: (folder, made.model_copy(update={"version": version})) for version in (1, 2)}


@pytest.fixture
def home(tmp_path: Path, trained: Trained) -> Iterator[Path]:
    lay_out(tmp_path, trained)
    yield tmp_path
    for left in containers(tmp_path):
        told("rm", "-f", left)


def told(*command: str) -> str:
    return subprocess.run(["docker", *command], check=True, capture_output=True, text=True).stdout.strip()


def key_of(home: Path) -> str:
    return GatewayConfig(name="g", state_dir=home / "gateway", bundles_dir=home / "bundles").key


def containers(home: Path) -> list[str]:
    return left_by(key_of(home))


def height(gateway: Running, level: float) -> httpx.Response:
    body = {"dataframe_split": {"columns": ["level"], "data": [[level]]}}
    return httpx.post(f"{gateway.url}/models/{MODEL}/invocations", json=body, timeout=PATIENCE_S)


def role(gateway: Running) -> Role | None:
    answer = height(gateway, 1)
    return Role(answer.headers["x-understudy-role"]) if answer.status_code == 200 else None


def container_of(gateway: Running, role: Role) -> str | None:
    return next((worker.container for worker in gateway.status().workers if worker.role is role), None)


def test_a_library_that_only_the_image_has_serves_from_training_to_the_gateways_death(
    home: Path, trained: Trained
) -> None:
    with running(home) as gateway:
        if not HAS_OLDER_LIBRARIES:  # on Python 3.10, nothing that a container trained is scored in a process
            forked = {**trained, 1: (trained[1][0], trained[1][1].model_copy(update={"own_image": ""}))}
            with pytest.raises(GatewayRefused, match="moonlib"):
                gateway.serve(order_of(forked, 1, 1, allow_pickle=True))

        rehearsal = order_of(trained, 2, 1, mirror=2, change=Change.MIRROR_STARTED, allow_pickle=True, memory="1g")
        gateway.serve(rehearsal)
        assert height(gateway, 5).json() == {"predictions": [16.0]}
        until(lambda: set(gateway.log()["role"]) == {Role.CHAMPION.value, Role.SHADOW.value})
        logged = gateway.log()
        assert set(logged["image_digest"]) == {trained[1][1].image_digest}
        assert logged["prediction"].to_list() == [16.0, 16.0]
        is_sealed(container_of(gateway, Role.CHAMPION))
        assert all((worker.rss_bytes or 0) > 10 << 20 for worker in gateway.status().workers)
        assert height(gateway, 777).status_code == 500
        assert role(gateway) is Role.CHAMPION

        gateway.serve(order_of(trained, 3, 2, previous=1, allow_pickle=True, memory="1g"))
        champion = container_of(gateway, Role.CHAMPION)
        assert champion is not None
        asked = [{"dataframe_split": {"columns": ["level"], "data": [[level]]}} for level in range(9)]
        with Traffic(gateway.url, asked) as traffic:
            traffic.wait_for(50)
            told("kill", champion)
            until(lambda: Role.STANDBY.value in {answer[3] for answer in traffic.answers})
            until(lambda: traffic.answers[-1][3] == Role.CHAMPION.value)
        assert {answer[1] for answer in traffic.answers} == {200}
        assert container_of(gateway, Role.CHAMPION) not in (None, champion)

        assert len(containers(home)) == 2
        gateway.process.send_signal(signal.SIGKILL)
        until(lambda: containers(home) == [])


def test_a_version_is_scored_in_a_container_that_the_proxy_made_and_again_in_one_when_the_proxy_was_away(
    home: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the stack of docker-compose.yaml, where the gateway has no other way to the engine."""
    stack = f"e2e-{os.getpid()}"
    with ExitStack() as open_until_the_end:
        with engine_proxy(stack) as port:
            with monkeypatch.context() as environment:
                environment.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
                gateway = open_until_the_end.enter_context(running(home))
            gateway.serve(order_of(trained, 1, 1, allow_pickle=True, memory="1g"))
            assert height(gateway, 5).json() == {"predictions": [16.0]}
            first = container_of(gateway, Role.CHAMPION)
            is_sealed(first)
            assert told("inspect", "--format", f'{{{{index .Config.Labels "{STACK_LABEL}"}}}}', str(first)) == stack
            assert all((worker.rss_bytes or 0) > 10 << 20 for worker in gateway.status().workers)
        # A container ends with its input, whoever held it.
        until(lambda: containers(home) == [])
        with engine_proxy(stack, port):
            until(lambda: role(gateway) is Role.CHAMPION)
            assert container_of(gateway, Role.CHAMPION) not in (None, first)
            gateway.process.send_signal(signal.SIGKILL)
            until(lambda: containers(home) == [])


def is_sealed(container: str | None) -> None:
    assert container is not None
    (facts,) = json.loads(told("inspect", container))
    host, config = facts["HostConfig"], facts["Config"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == ("none", True, ["ALL"], True)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert config["User"] == "65532:65532"
    assert host["Memory"] == host["MemorySwap"] > 1 << 30
    assert host["PidsLimit"] > 0
    assert host["NanoCpus"] == 10**9
    assert host["LogConfig"]["Type"] == "none"
    assert [mount["Destination"] for mount in facts["Mounts"]] == ["/understudy"]
    assert not any("TOKEN" in variable for variable in config["Env"])


@pytest.fixture
def engine() -> Iterator[ContainerEngine]:
    name = f"e2e-{os.getpid()}"
    yield ContainerEngine(name)
    ContainerEngine(name).sweep()
    assert left_by(name) == []


def left_by(gateway: str) -> list[str]:
    return told("ps", "-aq", "--no-trunc", "--filter", f"label={GATEWAY_LABEL}={gateway}").split()


def start_of(trained: Trained, folder: Path | None = None) -> WorkerStart:
    known, made = trained[1]
    return WorkerStart(bundle=made, folder=str(folder or known), memory_bytes=1 << 30, max_rows=9, allow_pickle=True)


def test_files_that_are_not_those_that_were_registered_are_not_read_in_the_container_either(
    engine: ContainerEngine, trained: Trained, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained[1][0], tmp_path / "1"))
    (folder / "model.pkl").write_bytes(b"nothing that could be loaded")

    async def refused() -> None:
        containers = Containers(engine)
        with pytest.raises(WorkerRefused, match=rf"files in {folder} are not those that were registered"):
            await containers.spawn(start_of(trained, folder))
        await containers.close()

    asyncio.run(refused())


def test_a_container_that_hangs_is_removed_and_so_is_one_that_nobody_waits_for(
    engine: ContainerEngine, trained: Trained
) -> None:
    async def hung() -> None:
        containers = Containers(engine)
        worker = await containers.spawn(start_of(trained))
        told("pause", str(worker.running.container))
        scoring = asyncio.ensure_future(worker.score([Item(Wire.MLFLOW_JSON, worker.ready.example.encode())]))
        await asyncio.sleep(0)
        await worker.kill()
        with pytest.raises(WorkerDied, match="it was stopped"):
            await scoring
        given_up = asyncio.ensure_future(containers.spawn(start_of(trained)))
        await asyncio.sleep(0.05)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        await containers.close()

    asyncio.run(hung())
    until(lambda: left_by(f"e2e-{os.getpid()}") == [])


def test_the_next_start_removes_what_outlived_a_gateway_and_nobody_elses(
    engine: ContainerEngine, trained: Trained
) -> None:
    """Such as a container that was paused when its input closed."""
    earlier, neighbour = ContainerEngine(f"e2e-{os.getpid()}").start(start_of(trained)), engine.start(start_of(trained))
    told("pause", earlier.container)
    earlier.sock.close()

    async def opened() -> None:
        containers = Containers(engine)
        await containers.open()
        await containers.close()

    asyncio.run(opened())
    assert left_by(f"e2e-{os.getpid()}") == [neighbour.container]
    neighbour.sock.close()
    until(lambda: left_by(f"e2e-{os.getpid()}") == [])
