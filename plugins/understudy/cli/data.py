"""``understudy data``: list the windows that were read, restore one, compare two."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import hooks, require_model
from understudy.cli.errors import BadArgument
from understudy.contract.declared import read_moment
from understudy.contract.moment import moment

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.hooks.data.difference import DataDifference
    from understudy.hooks.data.versions import DataVersion

app = typer.Typer(help="Look at and restore the windows of data that models were trained on.", no_args_is_help=True)
Version = Annotated[str, typer.Argument(help="The version's SHA-256, or the start of it.")]


@app.command("log")
def log(model: Annotated[str, typer.Argument(help="The model.")], as_json: AsJson = False) -> None:
    """List the data versions that a model has read."""
    connected = hooks()
    found = connected.data_versions.log(model)
    if not found:
        require_model(connected, model)
    answer(as_json, found, lambda console: _log_page(console, model, found))


@app.command("restore")
def restore(
    version: Version,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to write the Parquet file.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the data of a version to a file; its hash is verified."""
    if to.exists() and (to.is_dir() or not force):
        way_out = "Name a file." if to.is_dir() else "Give --force to replace it."
        raise BadArgument("--to", f"{to} exists already", way_out)
    written = hooks().data_versions.restore(version, to)
    facts = {"version": version, "file": str(written), "size_bytes": written.stat().st_size}
    answer(
        as_json,
        facts,
        lambda console: console.print(
            f"{written} holds data version {version[:12]} ({written.stat().st_size:,} bytes), as recorded."
        ),
    )


@app.command("diff")
def diff(before: Version, after: Version, as_json: AsJson = False) -> None:
    """Say what changed from one version to another."""
    found = hooks().data_versions.difference(before, after)
    answer(as_json, found, lambda console: _difference_page(console, found))


def _log_page(console: "Console", model: str, found: "list[DataVersion]") -> None:
    if not found:
        console.print(f"{model} has read no data yet.")
    for version in found:
        rows = f"{version.rows:>10,} rows" if version.rows is not None else " " * 15
        recorded = moment(version.recorded_at)
        start, end = (read_moment(version.facts.get(name)) for name in ("start", "end"))
        console.print(
            f"{version.sha256[:12]}  {recorded}  {rows}  {version.size_bytes / 1e6:>8.1f} MB"
            + (f"  {moment(start)} to {moment(end)}" if start and end else "")
        )


def _difference_page(console: "Console", found: "DataDifference") -> None:
    console.print(
        f"{found.rows_before:,} rows before, {found.rows_after:,} after: {found.rows_added:,} are new, "
        f"{found.rows_removed:,} are gone."
    )
    for words, columns in (("New columns", found.columns_added), ("Columns that are gone", found.columns_removed)):
        if columns:
            console.print(f"{words}: {', '.join(columns)}.")
    if not found.columns:
        return
    from rich.table import Table

    table = Table("column", "type", "missing", "mean", box=None, pad_edge=False)
    for name, column in found.columns.items():
        table.add_row(
            name,
            column.type_before
            if column.type_before == column.type_after
            else f"{column.type_before} → {column.type_after}",
            f"{column.null_share_before:.1%} → {column.null_share_after:.1%}",
            ""
            if column.mean_before is None or column.mean_after is None
            else f"{column.mean_before:.4g} → {column.mean_after:.4g}",
        )
    console.print(table)
