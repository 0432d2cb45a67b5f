"""``understudy metrics``: what the ledger and the declarations say of all models, for Prometheus."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.deployment import hooks
from understudy.cli.errors import BadArgument
from understudy.cli.gateway import HIGHEST_PORT, LOG_FORMAT, CannotListen
from understudy.contract.declared import parse_duration
from understudy.contract.errors import UnderstudyError

if TYPE_CHECKING:
    from understudy.exporter.observe import Known

DECLARATIONS_S = 60.0


class CannotWrite(UnderstudyError):
    """The numbers cannot be put where they were asked for."""

    def __init__(self, path: Path, problem: OSError) -> None:
        super().__init__(f"{path} cannot be written ({problem.strerror}). Name a file in a folder that you may write.")


def metrics(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=HIGHEST_PORT, help="The port to listen on, 0 for any free one.")
    ] = 8091,
    verify_every: Annotated[
        str, typer.Option(metavar="DURATION", help="How often the whole ledger is verified, such as 1h.")
    ] = "1h",
    once: Annotated[bool, typer.Option("--once", help="Print the numbers once instead, the ledger verified.")] = False,
    to: Annotated[
        Path | None,
        typer.Option(help="With --once: the file to write, whole or not at all; for a textfile collector."),
    ] = None,
) -> None:
    """Show Prometheus what the ledger and the declarations say; it reads only."""
    if to is not None and not once:
        raise BadArgument("--to", "it goes with --once only", "Add --once, or leave it out.")
    known = _known(_seconds(verify_every))
    if once:
        _once(known, to)
    else:
        _serve(known, host, port)


def _known(verify_every_s: float) -> "Known":
    from understudy.exporter.census import Census
    from understudy.exporter.chain import ChainWatch
    from understudy.exporter.declarations import Declarations
    from understudy.exporter.observe import Known

    connected = hooks()
    return Known(
        Census(connected.ledger),
        ChainWatch(connected.ledger, verify_every_s),
        Declarations(connected.settings.models_dir, DECLARATIONS_S),
    )


def _once(known: "Known", to: Path | None) -> None:
    from understudy.exporter.observe import observe

    known.chain.verify()
    known.declarations.read()
    body, _ = observe(known).text()
    if to is None:
        typer.echo(body.decode(), nl=False)
        return
    hidden = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        hidden.write_bytes(body)
        hidden.replace(to)
    except OSError as problem:
        hidden.unlink(missing_ok=True)
        raise CannotWrite(to, problem) from problem


def _serve(known: "Known", host: str, port: int) -> None:
    from understudy.exporter.serve import MetricsServer

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        server = MetricsServer(host, port, known)
    except OSError as problem:
        raise CannotListen("The exporter of metrics", host, port, problem) from problem
    known.chain.start()
    known.declarations.start()
    typer.echo(f"The metrics are at {server.url}; stop with Ctrl-C.", err=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        known.chain.stop()
        known.declarations.stop()
        server.server_close()


def _seconds(text: str) -> float:
    try:
        return float(parse_duration(text).total_seconds())
    except ValueError as wrong:
        raise BadArgument("--verify-every", str(wrong), "Give a time such as 1h or 1d.") from wrong
