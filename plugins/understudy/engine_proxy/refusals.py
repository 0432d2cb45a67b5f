"""What is not handed on to the engine, and why."""

from http import HTTPStatus

from understudy.contract.errors import UnderstudyError

TOLD_LIMIT = 120


class NotHandedOn(UnderstudyError):
    """A request does not reach the engine; ``status`` is what its sender is answered with."""

    status = HTTPStatus.FORBIDDEN


class NotAsked(NotHandedOn):
    """Nothing of ours asks the engine for this."""

    def __init__(self, asked: str) -> None:
        super().__init__(
            f"docker-proxy does not hand on {shown(asked)}, which no stage and no gateway asks for; docs/compose.md "
            "lists what it hands on."
        )


class OutOfItsBox(NotHandedOn):
    """A container is described that could do more than a stage may."""

    def __init__(self, field: str, problem: str, way_out: str = "") -> None:
        self.field = field
        way_out = way_out or "docs/compose.md says what a container of the stack may have."
        super().__init__(f"docker-proxy creates no such container: {shown(field)} {problem}. {way_out}")


class NotOurs(NotHandedOn):
    """The container was not made through this proxy."""

    def __init__(self, container: str) -> None:
        super().__init__(
            f"docker-proxy leaves container {shown(container)} alone, because this stack did not make it; if it is one "
            "of an earlier release, remove it by hand (docker rm --force)."
        )


class RunsAlready(NotHandedOn):
    """Files go into a container before it starts."""

    def __init__(self, container: str) -> None:
        super().__init__(f"docker-proxy puts no files into {shown(container)}, which has been started; make a new one.")


class Unreadable(NotHandedOn):
    """A request that is none."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, problem: str) -> None:
        super().__init__(f"docker-proxy cannot read the request: {problem}. Send it as docker-py does.")


class TooLarge(NotHandedOn):
    """More than is looked at."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"docker-proxy reads {what} of {limit:,} bytes at most; make it shorter.")


class TooSlow(NotHandedOn):
    """A request does not arrive."""

    status = HTTPStatus.REQUEST_TIMEOUT

    def __init__(self, within_s: float) -> None:
        super().__init__(f"docker-proxy waited {within_s:g} s for the whole request; send it at once.")


class TooMany(NotHandedOn):
    """No more requests are served at once."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, limit: int) -> None:
        super().__init__(f"docker-proxy serves {limit} connections already; try again when some have ended.")


class NoEngine(NotHandedOn):
    """The engine does not answer the proxy."""

    status = HTTPStatus.BAD_GATEWAY

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"docker-proxy does not reach the Docker engine ({problem}). Start it; if it runs, STACK_DOCKER_GID "
            "in .env has to be the group of its socket, and `docker compose up --detach docker-proxy` takes it over."
        )


def shown(text: str) -> str:
    """Quote what a client wrote so that it fits into a line and into any log."""
    return ascii(text if len(text) <= TOLD_LIMIT else f"{text[:TOLD_LIMIT]}…")
