"""``understudy gateway``: answer requests with the champions, in the foreground."""

import errno
import fcntl
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.companion import Companion
from understudy.cli.deployment import BadSetting, deployment
from understudy.contract.declaration.train import memory_bytes
from understudy.contract.errors import UnderstudyError

HIGHEST_PORT = 65_535
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class CannotListen(UnderstudyError):
    """The address of a server cannot be used."""

    def __init__(self, what: str, host: str, port: int, problem: OSError) -> None:
        self.host, self.port = host, port
        way_out = "Give another one with --port, or 0 for any free one."
        if problem.errno == errno.EADDRINUSE:
            told = f"another program listens on port {port} of {host}"
        elif problem.errno in {errno.EACCES, errno.EPERM}:
            told = f"this user may not listen on port {port}"
        else:
            told = f"{host} is not an address of this machine ({problem.strerror or problem})"
            way_out = "Give another one with --host; 127.0.0.1 is this machine only, 0.0.0.0 all of its networks."
        super().__init__(f"{what} cannot start: {told}. {way_out}")


class AnotherKeepsItsStateThere(UnderstudyError):
    """Two gateways would write the same records and logs."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(
            f"Another gateway keeps its records and logs in {state_dir}. Stop it, or give this one a home of its own "
            "with UNDERSTUDY_HOME; AIRFLOW__UNDERSTUDY__LEDGER_URL then names the ledger that both follow."
        )


def gateway(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on; AIRFLOW__UNDERSTUDY__GATEWAY_HOST when left out.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=HIGHEST_PORT,
            help="The port to listen on, 0 for any free one; AIRFLOW__UNDERSTUDY__GATEWAY_PORT when left out.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What this replica is called in records and logs; host name and port by default.")
    ] = None,
) -> None:
    """Serve the models' champions until it is stopped, following what the ledger says."""
    from understudy.embedded.passwords import gateway_token
    from understudy.gateway.config import GatewayConfig
    from understudy.gateway.serve import serve

    settings = deployment()
    token = gateway_token(settings)
    if not token.get_secret_value():
        raise BadSetting("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", f"{settings.gateway_dir / 'token'} is empty; remove it")
    listens_on = settings.gateway_port if port is None else port
    config = GatewayConfig(
        name=name or f"{socket.gethostname()}:{listens_on or f'pid-{os.getpid()}'}",
        host=host or settings.gateway_host,
        port=listens_on,
        state_dir=settings.gateway_dir,
        bundles_dir=settings.home / "bundles",
        token=token,
        isolation=settings.gateway_isolation,
        verify_keys=settings.verify_keys,
        peers=settings.gateway_urls if settings.gateways else (),
        max_body_bytes=memory_bytes(settings.gateway_max_body),
    )
    beside: list[Companion] = []

    def announce(url: str) -> None:
        typer.echo(f"The gateway {config.name} listens on {url}; stop it with Ctrl-C.", err=True)
        beside.append(Companion(_follower_of(url), _tell))
        beside[0].start()

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    with _alone(config.state_dir):
        try:
            serve(config, announce)
        except OSError as problem:
            if beside or problem.filename is not None:
                raise
            raise CannotListen("The gateway", config.host, config.port, problem) from problem
        finally:
            for follower in beside:
                follower.stop()


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as handle:
        try:
            # The system gives the lock back when the holder dies, so a killed gateway leaves none behind.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise AnotherKeepsItsStateThere(state_dir) from held
        yield


def _follower_of(url: str) -> list[str]:
    return [sys.executable, "-m", "understudy.cli", "gateway-follower", "--gateway", own_url(url)]


def own_url(url: str) -> str:
    """Give the base URL by which this machine reaches what listens at one, which may be all of its addresses."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    bare = host.strip("[]")
    reached = EVERYWHERE.get(bare, bare)
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _tell(lasted_s: float, status: int, pause_s: float) -> None:
    typer.echo(
        f"The follower ended after {lasted_s:.0f} s with status {status}; it starts again in {pause_s:.0f} s. "
        "Until then the gateway goes on serving what it serves now.",
        err=True,
    )
