"""``understudy schema``: what may stand in a model.yaml, for editors and for people."""

from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer

if TYPE_CHECKING:
    from rich.console import Console


def schema(
    write: Annotated[
        bool, typer.Option("--write", help="Write schema/model.schema.json and docs/model-yaml.md.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of model.yaml."""
    from understudy.cli import reference

    if not write:
        answer(True, reference.schema_document(), lambda _: None)
        return
    written = [str(path) for path in reference.write()]

    def page(console: "Console") -> None:
        for path in written:
            console.print(f"Wrote {path}")

    answer(as_json, written, page)
