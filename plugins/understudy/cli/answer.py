"""How a command answers: people get a page, programs get JSON, both get the same facts."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def answer(as_json: bool, facts: Any, page: "Callable[[Console], None]") -> None:
    """Print the facts as JSON or as a page."""
    if as_json:
        typer.echo(_exact(json.dumps(to_jsonable_python(facts), indent=1, ensure_ascii=False)))
        return
    from understudy.cli.page import Page

    page(Page())


def _exact(written: str) -> str:
    """Write signs that show nothing as JSON's escapes: the same to a program, and no order to a terminal."""
    return "".join(sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in written)
