"""Describe the container of a stage: hermetic unless the stage says that it needs the network."""

import os
from typing import TYPE_CHECKING, Any

from understudy.runners.delivery import User
from understudy.runners.environment import stage_environment
from understudy.runners.protocol import LABEL, Job
from understudy.runners.sealed import sealed

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types import HostConfig, Mount

ENTRY_LABEL = f"{LABEL}.stage"
NOBODY = 65532
SCRATCH_SHARE = 2  # /tmp may hold half of the memory limit, because a tmpfs counts as memory


def stage_user() -> User:
    """Choose whom a container runs as: the worker's own user, never root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (NOBODY, NOBODY)


def container_config(
    client: "APIClient",
    job: Job,
    *,
    user: User,
    mounts: list["Mount"],
    network: str,
    environment: dict[str, str],
    has_secrets: bool,
) -> dict[str, Any]:
    """Give what the engine's API takes.

    :param network: the engine's network for a stage that needs one; any other has none.
    :param environment: what the stage finds in its environment beside what all stages do.
    """
    return client.create_container_config(
        image=job.image,
        command=[],
        user=f"{user[0]}:{user[1]}",
        working_dir="/tmp",  # noqa: S108 - a tmpfs of its own
        environment={**stage_environment(job, has_secrets=has_secrets), **environment, "HOME": "/tmp"},  # noqa: S108
        stdin_open=has_secrets,
        labels={f"{LABEL}.{key}": value for key, value in job.labels.items()},
        network_disabled=not job.needs_network,
        host_config=_limits(client, job, mounts, network if job.needs_network else "none"),
    ) | {"StdinOnce": has_secrets}


def _limits(client: "APIClient", job: Job, mounts: list["Mount"], network: str) -> "HostConfig":
    from docker.types import DeviceRequest, LogConfig

    resources = job.resources
    gpus = [DeviceRequest(count=resources.gpus, capabilities=[["gpu"]])] if resources.gpus else None
    return sealed(
        client,
        memory_bytes=resources.memory_bytes,
        cpus=resources.cpus,
        pids=resources.pids,
        scratch_bytes=resources.memory_bytes // SCRATCH_SHARE,
        network_mode=network,
        shm_size=resources.shm_bytes,
        mounts=mounts,
        device_requests=gpus,
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "100m", "max-file": "2"}),
    )
