"""Find out whether the Docker daemon sees this machine's files."""

import os
import tempfile

from understudy.settings import Settings


def workspace_on_daemon(settings: Settings) -> str:
    """Return the workspace as a local Docker daemon sees it; empty where it does not, so that files are copied.

    The daemon is asked to prepare a container that mounts a folder which was made just now: a daemon elsewhere does not
    know it and refuses. Nothing runs.
    """
    import docker
    from docker.errors import DockerException

    is_local = os.environ.get("DOCKER_HOST", "unix://").startswith("unix://") and not settings.docker_conn_id
    if settings.isolation == "process" or not is_local:
        return ""
    workspace = settings.workspace_dir.resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".seen-by-the-daemon-", dir=workspace) as folder:
        mount = docker.types.Mount(target="/seen", source=folder, type="bind", read_only=True)
        try:
            client = docker.from_env(timeout=20)
            client.containers.create(settings.image, mounts=[mount], network_disabled=True).remove()
        except DockerException:
            return ""  # no engine, no image yet, or it does not see the folder: copying always works
    return str(workspace)
