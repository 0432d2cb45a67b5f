"""How a command answers: people get a page, programs get JSON, both get the same facts."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic_core import to_jsonable_python

from understudy.terminal import open_terminal

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def answer(as_json: bool, facts: Any, page: "Callable[[Console], None]") -> None:
    """Print the facts as JSON or as a page."""
    if as_json:
        typer.echo(json.dumps(to_jsonable_python(facts), indent=1, ensure_ascii=False))
        return
    page(open_terminal(wraps=False))
