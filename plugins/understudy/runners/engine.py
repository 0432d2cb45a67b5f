"""Reach a Docker engine, and say in plain words what is wrong when it does not do what it is asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from understudy.contract.declared import Fact
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
from understudy.runners.protocol import Resources

if TYPE_CHECKING:
    from docker import APIClient
    from docker.errors import APIError

ClientFactory = Callable[[float], "APIClient"]
"""Open a new connection with a time limit per call, in seconds."""


def local_client(timeout_s: float) -> "APIClient":
    """Open the engine that the environment names (DOCKER_HOST, DOCKER_TLS_VERIFY …), else Docker's current context.

    The context is where Docker Desktop and its like say where they listen; without one it is the local socket.
    """
    import docker

    return docker.from_env(version="auto", timeout=timeout_s).api  # type: ignore[arg-type]


class Tls(Fact):
    """Name the PEM files that an engine's TLS needs; a certificate of our own only where the engine asks for one."""

    ca: str
    certificate: str = ""
    key: str = ""


def named_client(where: str, tls: Tls | None) -> ClientFactory:
    """Return how to open the engine at a URL. It asks nobody else: a kill opens a client inside a signal handler."""

    def open_client(timeout_s: float) -> "APIClient":
        from docker import APIClient
        from docker.tls import TLSConfig

        class Trusting(APIClient):
            # requests prefers REQUESTS_CA_BUNDLE to the authority that we were given; only "no" stops it from looking.
            trust_env = property(lambda _self: False, lambda _self, _ignored: None)

        own = (tls.certificate, tls.key) if tls and tls.certificate else None
        secured = TLSConfig(client_cert=own, ca_cert=tls.ca, verify=True) if tls else False
        return Trusting(base_url=where, tls=secured, version="auto", timeout=timeout_s)  # type: ignore[arg-type]

    return open_client


def remove_container(client: "APIClient", container: str) -> None:
    """Kill and remove a container with its volumes; do nothing where it is gone or going."""
    from docker.errors import APIError, NotFound

    try:
        client.remove_container(container, v=True, force=True)
    except NotFound:
        return
    except APIError as refused:
        if refused.status_code != 409:  # 409: its removal is under way
            raise


@contextmanager
def in_plain_words(image: str = "", resources: Resources | None = None, network: str = "") -> Iterator[None]:
    """Turn the client's errors into ours.

    :raises RunnerError: one class for each thing that a person would do about it.
    """
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except RunnerError:
        raise
    except ImageNotFound as missing:
        raise ImageMissing(image) from missing
    except APIError as refused:
        raise _explained(refused, image, resources, network) from refused
    except (DockerException, RequestException, HTTPError, ConnectionError, TimeoutError) as unreachable:
        text = str(unreachable)
        if "Permission denied" in text or "PermissionError" in text:
            raise EngineForbidden(_innermost(unreachable)) from unreachable
        raise EngineUnreachable(_innermost(unreachable)) from unreachable


def _explained(refused: "APIError", image: str, resources: Resources | None, network: str) -> RunnerError:
    problem = str(refused.explanation or refused)
    last_line = problem.strip().splitlines()[-1][-200:] if problem.strip() else problem
    cannot_start = ImageWithoutEntryPoint(image, f"cannot start its command ({last_line})")
    no_gpu = GpuUnavailable(resources.gpus if resources else 0)
    known = {
        "No such image": ImageMissing(image),
        "no space left on device": DiskFull(last_line),
        "bind source path does not exist": WorkspaceNotOnDaemon(last_line),
        f"network {network} not found": NetworkMissing(network),
        "could not select device driver": no_gpu,
        "nvidia-container": no_gpu,
        "Range of CPUs": TooManyCpus(resources.cpus if resources else 0, last_line),
        "OCI runtime create failed": cannot_start,
        "No command specified": cannot_start,
    }
    return next((error for words, error in known.items() if words in problem), EngineRefused(problem))


def _innermost(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__
