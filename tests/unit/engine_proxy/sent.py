"""What runners and gateways really send, made by their own code and by docker-py."""

import copy
import json
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import docker
from docker.errors import NotFound
from pydantic import SecretStr

from tests.unit.gateway.fake_processes import bundle
from understudy.contract.stage import StageRequest
from understudy.gateway.container_engine import SCORING_LABEL, ContainerEngine
from understudy.gateway.frames import PROTOCOL
from understudy.gateway.worker import WorkerStart
from understudy.runners.container import ENTRY_LABEL
from understudy.runners.docker import DockerRunner
from understudy.runners.engine import named_client
from understudy.runners.protocol import Job, Resources


class Recorded(Exception):
    """Nothing more is to be done."""


class Recording(docker.APIClient):
    """Take down the description of a container instead of sending it."""

    def __init__(self) -> None:
        super().__init__(base_url="tcp://127.0.0.1:1", version="1.41")
        self.sent = b""

    def inspect_image(self, image: Any) -> Any:
        return {"Config": {"Labels": {ENTRY_LABEL: "1", SCORING_LABEL: str(PROTOCOL)}}}

    def inspect_container(self, container: Any) -> Any:
        raise NotFound("nobody")

    def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> Any:
        self.sent = data.encode()
        raise Recorded


def job(folder: Path, *, gpus: int = 0, needs_network: bool = False) -> Job:
    request = StageRequest(stage="p:m", model="m", run="r", as_of=datetime(2026, 3, 1, tzinfo=timezone.utc))
    resources = Resources(memory_bytes=256 << 20, cpus=1.5, gpus=gpus, timeout=timedelta(minutes=2))
    return Job(
        name="understudy-new",
        request=request,
        image="understudy-stage:1",
        inputs={},
        outputs=folder / "out",
        resources=resources,
        needs_network=needs_network,
        labels={"dag_id": "retrain__m", "run_id": "manual__2026-03-01T00:00:00+00:00/ü", "try_number": "1"},
    )


def version(folder: Path) -> WorkerStart:
    (folder / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    release = bundle(1).model_copy(update={"image_digest": "sha256:abc"})
    return WorkerStart(bundle=release, folder=str(folder), memory_bytes=1 << 30, max_rows=100)


@lru_cache
def by_runner(*, gpus: int = 0, has_secrets: bool = False, needs_network: bool = False) -> bytes:
    """Give the description of a stage's container."""
    client = Recording()
    with TemporaryDirectory() as folder, suppress(Recorded):
        runner = DockerRunner(deployment="d", workspace=Path(folder), open_client=lambda _: client)
        secrets = {"password": SecretStr("x")} if has_secrets else {}
        runner.submit(job(Path(folder), gpus=gpus, needs_network=needs_network), secrets)
    return client.sent


@lru_cache
def by_gateway() -> bytes:
    """Give the description of a scoring container."""
    client = Recording()
    with TemporaryDirectory() as folder, suppress(Recorded):
        ContainerEngine("g", lambda _: client).start(version(Path(folder)))
    return client.sent


def document(sent: bytes | None = None) -> dict[str, Any]:
    """Read a description to change it."""
    read: dict[str, Any] = copy.deepcopy(json.loads(sent or by_runner()))
    return read


def runner_at(port: int, folder: Path) -> DockerRunner:
    """Give a runner whose engine is at a port of this machine."""
    return DockerRunner(deployment="d", workspace=folder, open_client=named_client(f"tcp://127.0.0.1:{port}", None))
