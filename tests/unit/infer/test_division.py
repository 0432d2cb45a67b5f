"""What a run would refuse because it cannot be divided is said when the declaration is written."""

from pathlib import Path

import polars as pl
import pytest

from tests.unit.infer.small_file import ROWS, frame, infer

REFUSED = "A run would refuse these rows: "


def about_rows(notes: tuple[str, ...]) -> list[str]:
    return [note for note in notes if note.startswith(REFUSED)]


@pytest.mark.parametrize("time", ["at", None], ids=["dated", "undated"])
def test_too_few_rows_are_said_with_how_many_are_needed(tmp_path: Path, time: str | None) -> None:
    table = frame() if time else frame().drop("at")
    inference, _ = infer(tmp_path, table.head(40), time=time)
    (told,) = about_rows(inference.notes)
    assert "10 are needed" in told
    assert "deliver more rows (about" in told
    assert "A run would refuse these rows" in inference.yaml
    assert about_rows(infer(tmp_path, table, time=time)[0].notes) == []


def test_a_class_that_came_up_late_is_said(tmp_path: Path) -> None:
    row = pl.int_range(ROWS, eager=True)
    inference, spec = infer(tmp_path, frame(y=(row >= ROWS * 0.9).cast(pl.Int8)))
    (told,) = about_rows(inference.notes)
    assert "the train part of 384 rows has the single class '0' of 'y', so there is nothing to learn" in told
    assert spec.checks.label_shares == {}, "of any share from 0 to 1 nothing is asked"
