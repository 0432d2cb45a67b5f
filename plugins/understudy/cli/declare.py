"""``understudy init``: a complete declaration from a data file."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment
from understudy.cli.errors import BadArgument
from understudy.contract.declared import MODEL_NAME, Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.load import SPEC_FILE
from understudy.settings import PROJECT

if TYPE_CHECKING:
    from rich.console import Console

NAME = re.compile(MODEL_NAME)


class DeclaredAlready(UnderstudyError):
    """The declaration would replace another one."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists already. Choose another --name, or give --force to replace it.")


class Declaration(Fact):
    """Say what was written, and what was noticed in the data."""

    model: str
    path: str
    notes: tuple[str, ...]


def init(
    *,
    data: Annotated[Path, typer.Option(metavar="FILE", help="A CSV or Parquet file, plain or .gz.")],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="The column to predict.")],
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that dates each row.")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name; made from the file's when left out.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a declaration of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented model.yaml from a data file, and say what was noticed in it."""
    from understudy.hooks.data.sources import find_sources
    from understudy.infer import infer_spec
    from understudy.infer.inference import source_of

    if name is not None and not NAME.match(name):
        raise BadArgument(
            "--name",
            f"{name!r} is not a model's name",
            "Use up to 63 lower case letters, digits and underscores, a letter first.",
        )
    if data.is_file():  # else the reader says what is wrong with it
        find_sources(source_of(data), PROJECT, deployment().data_roots, "--data")
    inference = infer_spec(data, target=target, time=time, name=name)
    model = str(inference.spec["model"])
    path = deployment().models_dir / model / SPEC_FILE
    if path.exists() and not force:
        raise DeclaredAlready(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(inference.yaml, encoding="utf-8")
    written = Declaration(model=model, path=str(path), notes=tuple(inference.notes))
    answer(as_json, written, lambda console: _page(console, written))


def _page(console: "Console", written: Declaration) -> None:
    console.print(f"Wrote {written.path}")
    for note in written.notes:
        console.print(f"  - {note}")
    console.print(f"Read it, then: understudy check {written.model} && understudy retrain {written.model} --local")
