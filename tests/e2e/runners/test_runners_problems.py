"""Each thing that an engine may lack has a name."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.runners.probes import DEPLOYMENT, IMAGE, job, run
from understudy.contract.words import JobState
from understudy.runners.container_facts import ContainerId
from understudy.runners.docker import DockerRunner
from understudy.runners.errors import (
    EngineUnreachable,
    GpuUnavailable,
    ImageMissing,
    ImageWithoutEntryPoint,
    NetworkMissing,
    TooManyCpus,
    WorkspaceNotOnDaemon,
)

pytestmark = pytest.mark.docker


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
