"""What a command does when it cannot do what was asked: one sentence on stderr, and a status that is not zero."""

import errno
import json
from typing import Any

import typer
import typer.core

from understudy.contract.errors import UnderstudyError
from understudy.contract.printable import printable_line
from understudy.embedded.interruption import RunStopped

BROKEN = 1
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
STOPPED = 128  # and the number of the signal, as shells have it
# Typer brings its own copy of click, or uses click's, and names only the descendants of what both call UsageError.
UsageError: Any = typer.BadParameter.__mro__[1]


class BadArgument(UnderstudyError):
    """An argument of a command cannot be used."""

    def __init__(self, argument: str, problem: str, way_out: str) -> None:
        super().__init__(f"{argument} {problem}. {way_out}")


class SentenceGroup(typer.core.TyperGroup):
    """Turn errors of ours, of the caller and of the disk into a sentence; others are bugs and keep their traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember whether the caller wants JSON, also from a command that fails."""
        ctx.obj = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            _tell(ctx, error, error.format_message(), on_stderr=False)  # typer prints it, with the usage
            raise
        except UnderstudyError as error:
            _tell(ctx, error, str(error))
            raise typer.Exit(STOPPED + error.by if isinstance(error, RunStopped) else BROKEN) from error
        except OSError as error:
            if error.errno in DISK_FULL:
                where = f" for {error.filename}" if error.filename else ""
                sentence = f"No space is left on the disk{where}. Free some below UNDERSTUDY_HOME, then try again."
            elif error.filename is not None:
                sentence = f"{error.filename} cannot be used: {error.strerror}. Check the path and its permissions."
            else:
                raise
            _tell(ctx, error, sentence)
            raise typer.Exit(BROKEN) from error


def _tell(ctx: Any, error: Exception, sentence: str, *, on_stderr: bool = True) -> None:
    if ctx.obj:
        typer.echo(json.dumps({"error": sentence, "kind": type(error).__name__}))
    if on_stderr:
        typer.echo(f"Error: {printable_line(sentence)}", err=True)
