from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException, ImageNotFound

from understudy.contract.words import Isolation
from understudy.runners.choose import choose_runner
from understudy.runners.docker import DockerRunner
from understudy.runners.engine import in_plain_words
from understudy.runners.errors import (
    DiskFull,
    EngineForbidden,
    EngineRefused,
    EngineUnreachable,
    GpuUnavailable,
    ImageMissing,
    ImageWithoutEntryPoint,
    NetworkMissing,
    RunnerError,
    TooManyCpus,
    WorkspaceNotOnDaemon,
)
from understudy.runners.process import ProcessRunner
from understudy.runners.protocol import Resources
from understudy.settings import Settings


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    return Settings()


def nowhere(timeout_s: float) -> docker.APIClient:
    return docker.APIClient(base_url="tcp://127.0.0.1:9", version="auto", timeout=timeout_s)  # type: ignore[arg-type]


class Engine:
    """Answer, as far as choosing needs."""

    def __init__(self, _timeout_s: float) -> None: ...

    def close(self) -> None: ...


def test_auto_takes_a_process_where_no_engine_answers(deployment: Settings) -> None:
    assert isinstance(choose_runner("auto", deployment, nowhere), ProcessRunner)


def test_auto_takes_docker_where_an_engine_answers(deployment: Settings) -> None:
    engine: Any = Engine
    assert isinstance(choose_runner("auto", deployment, engine), DockerRunner)


def test_the_deployment_names_the_network(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = Engine
    assert choose_runner("docker", deployment, engine).network == "bridge"  # type: ignore[attr-defined]
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__NETWORK", "team")
    assert choose_runner("docker", Settings(), engine).network == "team"  # type: ignore[attr-defined]


def test_docker_by_name_is_not_silently_replaced(deployment: Settings) -> None:
    with pytest.raises(EngineUnreachable, match="ISOLATION=process"):
        choose_runner(Isolation.DOCKER, deployment, nowhere)


def test_process_asks_no_engine(deployment: Settings) -> None:
    def asked(_timeout_s: float) -> docker.APIClient:
        pytest.fail("an engine was asked")

    assert isinstance(choose_runner(Isolation.PROCESS, deployment, asked), ProcessRunner)


def refused(explanation: str) -> APIError:
    return APIError("500", None, explanation)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ImageNotFound("404", None, "No such image: x"), ImageMissing),
        (refused("No such image: x"), ImageMissing),
        (refused("write /var/lib/docker/x: no space left on device"), DiskFull),
        (refused('invalid mount config for type "bind": bind source path does not exist: /x'), WorkspaceNotOnDaemon),
        (refused('could not select device driver "" with capabilities: [[gpu]]'), GpuUnavailable),
        (refused("failed to discover GPU vendor from CDI: no known GPU vendor found"), GpuUnavailable),
        (refused("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0"), GpuUnavailable),
        (
            refused("OCI runtime create failed: error running hook\nnvidia-container-cli: driver not loaded: unknown"),
            GpuUnavailable,
        ),
        (refused("Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"), TooManyCpus),
        (
            refused('OCI runtime create failed: exec: "python3": executable file not found in $PATH'),
            ImageWithoutEntryPoint,
        ),
        (refused("OCI runtime create failed: executable file `python3` not found in $PATH"), ImageWithoutEntryPoint),
        (refused("OCI runtime create failed: fork: resource temporarily unavailable"), EngineRefused),
        (refused("network team not found"), NetworkMissing),
        (refused("something else"), EngineRefused),
        (
            DockerException("Error while fetching: ('Connection aborted.', PermissionError(13, 'Permission denied'))"),
            EngineForbidden,
        ),
        (
            DockerException("Error while fetching server API version: FileNotFoundError(2, 'No such file')"),
            EngineUnreachable,
        ),
        (ConnectionResetError("reset"), EngineUnreachable),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_each_thing_that_an_engine_can_lack_has_its_own_name(error: Exception, expected: type[RunnerError]) -> None:
    from datetime import timedelta

    limits = Resources(memory_bytes=1, cpus=4, gpus=1, timeout=timedelta(seconds=1))
    with pytest.raises(expected) as found, in_plain_words("image:1", limits, "team"):
        raise error
    assert type(found.value) is expected


def test_errors_of_ours_pass_unchanged() -> None:
    with pytest.raises(DiskFull), in_plain_words():
        raise DiskFull("x")


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "unix:///var/run/other.sock"}, "http+docker://localhost"),
        ({"host": "engine"}, "http://engine:2375"),
        ({"host": "engine", "port": 99}, "http://engine:99"),
        ({"host": "tcp://engine:2376", "extra": {"tls_ca_cert": "CA"}}, "https://engine:2376"),
        ({"host": "engine", "extra": {"tls_ca_cert": "CA"}}, "https://engine:2376"),
    ],
)
def test_the_airflow_connection_names_the_engine(
    fields: dict[str, Any], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from understudy.operators.stage.engine_connection import engine_of

    (tmp_path / "ca.pem").write_text("")
    text = json.dumps({"conn_type": "docker", **fields}).replace('"CA"', json.dumps(str(tmp_path / "ca.pem")))
    monkeypatch.setenv("AIRFLOW_CONN_ENGINE", text)
    opened: list[str] = []

    def note(client: docker.APIClient) -> str:
        opened.append(client.base_url)
        return "1.41"

    monkeypatch.setattr(docker.APIClient, "_retrieve_server_version", note)
    engine_of("engine")(2.0).close()
    assert opened == [url]
