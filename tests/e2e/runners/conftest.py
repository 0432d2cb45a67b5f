"""The three places where a stage can run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.runners.probes import CODE, DEPLOYMENT, volumes_of
from understudy.runners.docker import DockerRunner
from understudy.runners.process import ProcessRunner


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
