"""What every container of ours is denied, whatever it is for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types import HostConfig


def sealed(
    client: "APIClient", *, memory_bytes: int, cpus: float, pids: int, scratch_bytes: int, **more: Any
) -> "HostConfig":
    """Give the host's side of a container: nothing to write to but ``/tmp`` in memory, no rights, bounded resources.

    :param more: what the engine's API takes beside that.
    """
    return client.create_host_config(
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        init=True,  # a container's first process ignores SIGTERM; docker-init hands it on
        pids_limit=pids,
        mem_limit=memory_bytes,
        memswap_limit=memory_bytes,
        nano_cpus=int(cpus * 1e9),
        # noexec is Docker's default and stays: joblib and loky map files there, but never execute them.
        tmpfs={"/tmp": f"rw,nosuid,nodev,noexec,mode=1777,size={scratch_bytes}"},  # noqa: S108
        **more,
    )
