"""A chain shows what was changed, but not what was cut off its end; a backup does."""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from understudy.backup import manifest
from understudy.backup.manifest import Manifest
from understudy.cli.app import app
from understudy.contract.words import EntryKind
from understudy.hooks.connect import Hooks
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import settings


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    known = Hooks(settings()).ledger
    for reason in ("one", "two", "three"):
        known.append("price", EntryKind.TRIGGERED, "ann", reason)
    yield known
    settings.cache_clear()


def backup(folder: Path, ledger: Ledger, entries: int) -> Path:
    folder.mkdir()
    taken = Manifest(
        understudy="1",
        taken_at=datetime(2026, 3, 1, tzinfo=timezone.utc),
        entries=entries,
        last_hash=ledger.entries()[entries - 1].hash,
        serving=(),
        artifacts="",
        files={},
    )
    manifest.write(folder, taken)
    return folder


def verified(*arguments: str) -> tuple[int, str]:
    told = CliRunner().invoke(app, ["ledger", "--verify", *arguments])
    return told.exit_code, " ".join((told.stdout + told.stderr).split())


def test_without_a_backup_it_says_what_it_cannot_see() -> None:
    code, told = verified()
    assert code == 0
    assert told.startswith("All 3 entries are intact. Only a backup can tell whether newer ones were cut off")


def test_entries_of_a_backup_that_are_still_there_are_confirmed(tmp_path: Path, ledger: Ledger) -> None:
    code, told = verified("--against", str(backup(tmp_path / "b", ledger, 2)))
    assert (code, told) == (
        0,
        "All 3 entries are intact. The 2 of the backup of 2026-03-01 00:00 UTC are all among them.",
    )


def test_an_end_that_was_cut_off_is_found(tmp_path: Path, ledger: Ledger) -> None:
    kept = backup(tmp_path / "b", ledger, 3)
    engine = create_engine(settings().ledger)
    with engine.begin() as connection:
        for (trigger,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text("DELETE FROM ledger WHERE seq = 3"))
    engine.dispose()
    assert verified()[0] == 0
    code, told = verified("--against", str(kept))
    assert code == 1
    assert "has 3 entries and the ledger 2: entry 3 was cut off" in told
