"""Reach a Docker engine, and say in plain words what is wrong when it does not do what it is asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

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
    NoEngineBehindProxy,
    RunnerError,
    TooManyCpus,
    WorkspaceNotOnDaemon,
)
from understudy.runners.protocol import Resources

if TYPE_CHECKING:
    from docker import APIClient
    from docker.errors import APIError

FROM_A_PROXY = {502, 504}
"""What no engine answers itself. Some proxies say 503, and not in an engine's JSON."""
OUR_PROXY = "docker-proxy "
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
        # A client that is opened asks for the engine's version, and wraps whatever comes of that.
        answered = next((one for one in _causes(unreachable) if isinstance(one, APIError)), None)
        if answered is not None:
            raise _explained(answered, image, resources, network) from unreachable
        text = str(unreachable)
        if "Permission denied" in text or "PermissionError" in text:
            raise EngineForbidden(_innermost(unreachable)) from unreachable
        raise EngineUnreachable(_innermost(unreachable), _asked(unreachable)) from unreachable


def _explained(refused: "APIError", image: str, resources: Resources | None, network: str) -> RunnerError:
    if _is_from_proxy(refused):
        return NoEngineBehindProxy(_told_by_proxy(refused))
    problem = str(refused.explanation or refused)
    last_line = problem.strip().splitlines()[-1][-200:] if problem.strip() else problem
    cannot_start = ImageWithoutEntryPoint(image, f"cannot start its command ({last_line})")
    no_gpu = GpuUnavailable(resources.gpus if resources else 0, last_line)
    known = {
        "No such image": ImageMissing(image),
        "no space left on device": DiskFull(last_line),
        "bind source path does not exist": WorkspaceNotOnDaemon(last_line),
        f"network {network} not found": NetworkMissing(network),
        "could not select device driver": no_gpu,
        "nvidia-container": no_gpu,
        "GPU vendor": no_gpu,  # from Docker 29 on
        "CDI devices": no_gpu,
        "Range of CPUs": TooManyCpus(resources.cpus if resources else 0, last_line),
        # Not all that the runtime says: it also fails where the machine is short of something, which may pass.
        'exec: "': cannot_start,
        "executable file": cannot_start,
        "No command specified": cannot_start,
    }
    return next((error for words, error in known.items() if words in problem), EngineRefused(problem))


def why_silent(error: BaseException) -> str:
    """Say in a few words why no engine answers a client."""
    from docker.errors import APIError

    answered = next((one for one in _causes(error) if isinstance(one, APIError)), None)
    if answered is None:
        where = _asked(error)
        return f"{where}: {_innermost(error)}" if where else _innermost(error)
    return _told_by_proxy(answered) if _is_from_proxy(answered) else str(answered.explanation or answered)


def _is_from_proxy(refused: "APIError") -> bool:
    is_page = str(refused.explanation or "").startswith("<")
    return refused.status_code in FROM_A_PROXY or (refused.status_code == 503 and is_page)


def _told_by_proxy(refused: "APIError") -> str:
    """Give the sentence of a proxy that says what is wrong, ours does; of another one the status alone."""
    explanation = str(refused.explanation or "")
    if explanation.startswith(OUR_PROXY):
        return explanation
    return (
        f"it answers with HTTP {refused.status_code}. Start the engine, or correct where the proxy looks for it; "
        "`understudy doctor` tells more."
    )


def _asked(error: BaseException) -> str:
    """Give host and port that were asked; nothing for a local socket, whose address is made up."""
    requests = (getattr(one, "request", None) for one in _causes(error))
    asked = next((urlsplit(str(request.url)) for request in requests if request is not None), None)
    return asked.netloc.rpartition("@")[2] if asked and asked.scheme in {"http", "https"} else ""


def _innermost(error: BaseException) -> str:
    *_, last = _causes(error)
    return str(last) or type(last).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
