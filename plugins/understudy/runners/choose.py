"""Choose where stages run."""

import hashlib
from typing import Literal

from understudy.contract.words import Isolation
from understudy.runners.docker import DockerRunner
from understudy.runners.engine import ClientFactory, local_client
from understudy.runners.errors import RunnerError
from understudy.runners.process import ProcessRunner
from understudy.runners.protocol import Runner
from understudy.settings import Settings

ANSWER_WITHIN_S = 2.0


def choose_runner(
    isolation: Isolation | Literal["auto", "docker", "process"],
    settings: Settings,
    open_client: ClientFactory = local_client,
) -> Runner:
    """Give the runner of an isolation; ``auto`` takes Docker where an engine answers within two seconds.

    :raises RunnerError: where Docker is asked for by name and no engine answers.
    """
    if isolation == "process":
        return ProcessRunner(jobs=settings.workspace_dir / ".jobs")
    runner = DockerRunner(
        deployment=deployment_key(settings),
        workspace=settings.workspace_dir,
        workspace_on_daemon=settings.workspace_on_daemon,
        network=settings.network,
        open_client=open_client,
    )
    try:
        runner.connect(ANSWER_WITHIN_S)
    except RunnerError:
        if isolation == "docker":
            raise
        return ProcessRunner(jobs=settings.workspace_dir / ".jobs")
    return runner


def deployment_key(settings: Settings) -> str:
    """Tell the jobs of this deployment from those of another on the same engine."""
    return hashlib.sha256(str(settings.home.resolve()).encode()).hexdigest()[:12]
