"""``understudy backup`` and ``understudy restore``."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import hooks

if TYPE_CHECKING:
    from rich.console import Console


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder to write the backup to.")],
    as_json: AsJson = False,
) -> None:
    """Copy ledger, models, data versions and bundles to a folder, while everything goes on."""
    from understudy.backup.take import take

    taken = take(hooks(), folder.absolute())

    def page(console: "Console") -> None:
        console.print(
            f"{taken.folder}: {taken.files} files, {taken.size_bytes / 1e6:.1f} MB, {taken.entries} ledger entries."
        )
        _list(console, "verified", taken.proof.verified)
        _list(console, "not part of it", taken.elsewhere)

    answer(as_json, taken, page)


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `understudy backup` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Bring a backup back to where nothing is, verify it, and say what was verified."""
    from understudy.backup.restore import restore as bring_back

    restored = bring_back(hooks(), folder.absolute())

    def page(console: "Console") -> None:
        console.print(f"Restored {restored.folder}, taken at {restored.taken_at}.")
        _list(console, "verified", restored.verified)
        _list(console, "not part of it", restored.elsewhere)

    answer(as_json, restored, page)


def _list(console: "Console", word: str, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(f"  {word}: {line}")
