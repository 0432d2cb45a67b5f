"""The proxy before a real engine: what runners and gateways do goes through, and no bypass does."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.conftest import IMAGE
from tests.e2e.engine_bypasses import ELSEWHERE, Bypass, acts_on, create, descriptions
from tests.e2e.engine_door import engine_proxy
from tests.e2e.test_remote_engine import SECRET, asked
from tests.unit.engine_proxy.fake_engine import say, written
from understudy.contract.stage import StageResult, artefact_of
from understudy.contract.words import JobState
from understudy.runners.docker import DockerRunner
from understudy.runners.engine import named_client
from understudy.runners.errors import EngineRefused, GpuUnavailable, RunnerError

pytestmark = pytest.mark.docker

REFUSED = {400, 403, 413}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with engine_proxy(f"e2e-{os.getpid()}") as port:
        yield port


@pytest.fixture
def somebody_elses() -> Iterator[str]:
    """Run a container that the proxy did not make."""
    command = ["docker", "create", "--entrypoint", "sleep", IMAGE, "600"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    yield made
    subprocess.run(["docker", "rm", "--force", made], capture_output=True, check=False)


def test_a_stage_runs_through_the_proxy_with_files_secrets_and_logs(port: int, tmp_path: Path) -> None:
    runner = DockerRunner(
        deployment="proxied", workspace=tmp_path, open_client=named_client(f"tcp://127.0.0.1:{port}", None)
    )
    job = asked(tmp_path)
    job_id = runner.submit(job, {"password": SecretStr(SECRET)})
    try:
        assert [line.text for line in runner.stream_logs(job_id)] == ["measuring"]
        assert runner.status(job_id).state is JobState.DONE
        result = StageResult.model_validate_json(runner.result(job_id, job.outputs))
        assert len(runner.leftovers()) == 1
    finally:
        runner.kill(job_id)
    assert result.report["bytes"] == 200_000
    assert artefact_of(job.outputs / "copy.csv", job.outputs).sha256 == job.request.inputs["rows.csv"].sha256
    assert runner.find(job.name) is None
    runner.client.close()


@pytest.fixture
def _no_gpus() -> None:
    if "nvidia" in subprocess.run(["docker", "info"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("the engine has GPUs to give")


@pytest.mark.parametrize(
    ("allowed", "error", "told"),
    [
        (1, EngineRefused, r"asks for more GPUs \(2\) than a stage may have \(1\)\. STACK_GPUS in \.env"),
        (2, GpuUnavailable, r"runtime\.gpus asks for, 2: .*GPU.*\. Install the driver"),
    ],
    ids=["more than allowed", "as many as allowed"],
)
@pytest.mark.usefixtures("_no_gpus")
def test_a_stage_is_told_of_gpus_that_the_operator_or_the_engine_does_not_give(
    allowed: int, error: type[RunnerError], told: str, tmp_path: Path
) -> None:
    with engine_proxy(f"e2e-gpus-{os.getpid()}", gpus=allowed) as port:
        client = named_client(f"tcp://127.0.0.1:{port}", None)
        runner = DockerRunner(deployment="proxied", workspace=tmp_path, open_client=client)
        job = asked(tmp_path)
        wanting = job.model_copy(update={"resources": job.resources.model_copy(update={"gpus": 2})})
        with pytest.raises(error, match=f"(?i){told}"):
            runner.submit(wanting, {"password": SecretStr(SECRET)})
        assert runner.leftovers() == []
        runner.client.close()


@pytest.mark.parametrize("bypass", [*descriptions(IMAGE), *ELSEWHERE], ids=lambda bypass: bypass.what)
def test_no_container_gets_out_of_its_box(port: int, bypass: Bypass) -> None:
    status, message = say(port, bypass.sent)
    assert status in REFUSED, message
    assert message.startswith("docker-proxy ")


def test_what_is_no_bypass_is_created_and_removed(port: int) -> None:
    made = say(port, written("POST", "/v1.41/containers/create?name=understudy-bypass", create(IMAGE)))
    assert made[0] == 201, made
    assert say(port, written("DELETE", "/v1.41/containers/understudy-bypass?v=1&force=1"))[0] == 204


def test_a_container_of_somebody_else_is_left_alone_by_name_and_by_id(port: int, somebody_elses: str) -> None:
    told = subprocess.run(["docker", "inspect", somebody_elses], capture_output=True, text=True, check=True)
    name = json.loads(told.stdout)[0]["Name"].removeprefix("/")
    for called in (name, somebody_elses, somebody_elses[:12]):
        tried = {bypass.what: say(port, bypass.sent)[0] for bypass in acts_on(called)}
        assert {what for what, status in tried.items() if status not in REFUSED} == set()
    after = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, check=True)
    assert json.loads(after.stdout)[0]["State"]["Status"] == "created"
