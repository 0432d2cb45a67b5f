"""Which versions are scored in containers, and what is said where that is impossible; the engine is a fake."""

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version as version_of
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException, ImageNotFound

from tests.unit.gateway.fake_processes import bundle
from understudy.contract.release import Bundle
from understudy.contract.words import Confinement
from understudy.gateway import places
from understudy.gateway.attached import AttachedChannel
from understudy.gateway.config import ScoringIsolation
from understudy.gateway.container_engine import SCORING_LABEL, ContainerEngine
from understudy.gateway.containers import Containers, InContainer
from understudy.gateway.frames import PROTOCOL
from understudy.gateway.local_process import LocalProcess
from understudy.gateway.places import is_contained
from understudy.gateway.worker import Worker, WorkerReady, WorkerRefused, WorkerStart
from understudy.settings import PROJECT

DIGEST = "sha256:abc"


def version(image_digest: str = DIGEST, own_image: str = "tides:1") -> Bundle:
    return bundle(1).model_copy(update={"image_digest": image_digest, "own_image": own_image})


class Engine(docker.APIClient):
    """An engine that has one image, and does not start what it creates."""

    def __init__(self) -> None:
        super().__init__(base_url="tcp://127.0.0.1:1", version="1.41")
        self.labels: dict[str, str] | None = {SCORING_LABEL: str(PROTOCOL)}
        self.fault: Exception | None = None
        self.created: list[Any] = []
        self.removed: list[str] = []

    def inspect_image(self, image: str) -> Any:
        if self.fault is not None:
            raise self.fault
        return {"Config": {"Labels": self.labels}}

    def create_container_from_config(self, config: Any, name: Any = None, platform: Any = None) -> Any:
        self.created.append(config)
        return {"Id": "c1"}

    def put_archive(self, container: Any, path: str, data: Any) -> bool:
        self.files = b"".join(data)
        return True

    def attach_socket(self, container: Any, params: Any = None, ws: bool = False) -> Any:
        ours, theirs = socket.socketpair()
        theirs.close()
        return SimpleNamespace(_sock=ours, _response=ours)

    def start(self, container: Any, *args: Any, **kwargs: Any) -> Any:
        raise APIError("no", explanation="OCI runtime create failed: executable file `python3` not found")

    def remove_container(self, container: Any, v: bool = False, link: bool = False, force: bool = False) -> None:
        assert v
        assert force
        self.removed.append(container)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def refusal(tmp_path: Path, engine: Engine) -> str:
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    start = WorkerStart(bundle=version(), folder=str(tmp_path), memory_bytes=1 << 30, max_rows=9)

    async def spawned() -> None:
        containers = Containers(ContainerEngine("g", lambda _seconds: engine))
        try:
            await containers.spawn(start)
        finally:
            await containers.close()

    with pytest.raises(WorkerRefused) as refused:
        asyncio.run(spawned())
    return refused.value.problem


@pytest.mark.parametrize(
    ("isolation", "made", "contained"),
    [
        ("auto", version(), True),
        ("auto", version(own_image=""), False),
        ("auto", version(image_digest="process:abc"), False),
        ("docker", version(), True),
        ("docker", version(own_image=""), True),
        ("docker", version(image_digest="process:abc", own_image=""), False),
        ("docker", version(image_digest=""), False),
        ("process", version(), False),
    ],
)
def test_a_version_with_an_image_of_its_own_is_scored_in_a_container(
    isolation: ScoringIsolation, made: Bundle, contained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "HAS_OLDER_LIBRARIES", False)
    assert is_contained(made, isolation) is contained


@pytest.mark.parametrize(
    ("isolation", "made", "contained"),
    [
        ("auto", version(own_image=""), True),
        ("auto", version(image_digest="process:abc"), False),
        ("process", version(own_image=""), False),
    ],
)
def test_where_python_has_older_libraries_than_the_image_what_an_image_trained_is_scored_in_a_container(
    isolation: ScoringIsolation, made: Bundle, contained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "HAS_OLDER_LIBRARIES", True)
    assert is_contained(made, isolation) is contained


def test_python_has_older_libraries_than_the_image_where_it_says_so() -> None:
    in_image = (PROJECT / "include" / "images" / "stage" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    installed = {f"{name}=={version_of(name)}" for name in ("scikit-learn", "numpy", "scipy", "pandas")}
    assert (not installed & set(in_image)) is places.HAS_OLDER_LIBRARIES


def test_without_an_engine_a_version_is_refused_in_one_sentence(tmp_path: Path, engine: Engine) -> None:
    engine.fault = DockerException("connection refused")
    assert refusal(tmp_path, engine) == (
        "it is scored in a container of tides:1, and no Docker engine takes this gateway's orders. Start one, or point "
        "DOCKER_HOST of the gateway at one."
    )


def test_an_image_that_is_gone_is_named_with_its_digest(tmp_path: Path, engine: Engine) -> None:
    engine.fault = ImageNotFound("no such image")
    assert "no image of the digest sha256:abc" in refusal(tmp_path, engine)


@pytest.mark.parametrize(
    ("labels", "told"), [(None, "has no scoring code"), ({SCORING_LABEL: "0"}, "speaks version 0")]
)
def test_an_image_that_cannot_score_is_refused_before_anything_is_created(
    tmp_path: Path, engine: Engine, labels: dict[str, str] | None, told: str
) -> None:
    engine.labels = labels
    assert told in refusal(tmp_path, engine)
    assert engine.created == []


def test_a_container_that_does_not_start_is_removed(tmp_path: Path, engine: Engine) -> None:
    assert "cannot start its command" in refusal(tmp_path, engine)
    assert engine.removed == ["c1"]
    assert b"model/MLmodel" in engine.files


def test_a_process_in_a_container_is_held_from_outside_too(engine: Engine) -> None:
    with ThreadPoolExecutor(1) as calls:
        inside = InContainer("c1", ContainerEngine("g", lambda _seconds: engine), calls)
    ready = WorkerReady(load_ms=1, inputs=(), example="", is_fast=True, isolation=("no core dumps", "what 0.9 said"))
    free = {Confinement.NO_PROGRAMS, Confinement.FIRST_TO_GO}
    assert set(Worker(bundle(1), ready, AttachedChannel(), inside).not_held) == free
    assert LocalProcess.held_to == frozenset()


def test_an_image_understands_a_gateway_that_says_more_than_it_knows() -> None:
    start = WorkerStart(bundle=version(), folder="/f", memory_bytes=1, max_rows=9)
    told = start.model_dump(mode="json")
    later = {**told, "patience": 3, "bundle": {**told["bundle"], "colour": "blue"}}
    assert WorkerStart.read(later) == start
    del told["allow_pickle"], told["bundle"]["signature"]
    assert WorkerStart.read(told) == start


def test_the_stage_image_speaks_the_gateways_version() -> None:
    recipe = (PROJECT / "include" / "images" / "stage" / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(rf"{re.escape(SCORING_LABEL)}=(\S+)", recipe) == [str(PROTOCOL)]


def test_the_stage_image_holds_what_its_scoring_code_imports() -> None:
    """And of the gateway nothing else: it would only be another reason to build the image again."""
    library = PROJECT / "plugins" / "understudy"
    needed = {
        name
        for path in (library / "gateway" / "scoring").glob("*.py")
        for name in re.findall(r"from understudy\.gateway\.(\w+) import", path.read_text(encoding="utf-8"))
    } - {"scoring"}
    recipe = (PROJECT / "include" / "images" / "stage" / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"plugins/understudy/gateway/(\w+)\.py", recipe)) == {"__init__", *needed}
