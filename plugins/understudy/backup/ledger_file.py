"""The ledger as a file: its rows as they are, so that any database can take them and none is needed to check them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from understudy.hooks.ledger.ledger import Ledger

NAME = "ledger.jsonl"


def write(ledger: Ledger, folder: Path) -> None:
    """Write the rows as they are at one moment."""
    with (folder / NAME).open("w", encoding="utf-8") as stream:
        for row in ledger.rows():
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Read the rows."""
    with (folder / NAME).open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def as_database(folder: Path, scratch: Path) -> Ledger:
    """Give the file as a ledger of its own, to be asked and verified like any other."""
    ledger = Ledger(f"sqlite:///{scratch / 'ledger.db'}")
    ledger.adopt(read(folder))
    return ledger
