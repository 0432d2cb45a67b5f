"""How much processor a scrape of the exporter takes: the first, one that finds nothing new, one with a look at each."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.fleet_ledger import look, write_fleet
from understudy.contract.words import EntryKind
from understudy.exporter.census import Census
from understudy.exporter.chain import ChainWatch
from understudy.exporter.declarations import Declarations
from understudy.exporter.observe import Known, observe
from understudy.hooks.ledger.ledger import Ledger

FLEETS = ((100, 50), (1000, 50), (1000, 200))


def timed(known: Known) -> tuple[float, int]:
    began = time.process_time()
    body, _ = observe(known).text()
    return time.process_time() - began, len(body)


def main() -> None:
    table = Table(
        "models", "entries", "first", "nothing new", "a look at each", "size", title="a scrape of the exporter"
    )
    for models, entries in FLEETS:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.db"
            names = write_fleet(path, models, entries)
            ledger = Ledger(f"sqlite:///{path}")
            known = Known(Census(ledger), ChainWatch(ledger, 3600), Declarations(Path(folder), 60))
            first, _ = timed(known)
            again, size = timed(known)
            with ledger.writing() as pen:
                for name in names:
                    facts = look(name, 2, 1).model_dump(mode="json")
                    pen.append(name, EntryKind.MONITORED, "scheduled", "nothing is wrong", facts=facts)
            fresh, _ = timed(known)
            table.add_row(
                f"{models:,}", f"{models * entries:,}", f"{first:.2f} s", f"{again:.2f} s", f"{fresh:.2f} s",
                f"{size / 1e6:.2f} MB",
            )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
