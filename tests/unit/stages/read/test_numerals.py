"""Numbers as people and their exports write them."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from understudy.contract.declaration.data import DataSpec
from understudy.stages.read.numerals import Numerals, typed
from understudy.stages.read.read_source import read_file


@pytest.mark.parametrize(
    ("numerals", "written", "read"),
    [
        ((",", None), ["0,5", "-1,25", None, " 3 ", "1,5e3"], [0.5, -1.25, None, 3.0, 1500.0]),
        ((",", None), ["1", "-2", None], [1, -2, None]),
        ((",", "."), ["1.234,5", "12"], [1234.5, 12.0]),
        ((",", "."), ["1.234", "1.234.567"], [1234, 1234567]),
        ((",", " "), ["1 234,5", "1\u00a0234", "1\u202f234"], [1234.5, 1234.0, 1234.0]),
        ((".", ","), ["1,234.50", "-12", "0.5"], [1234.5, -12.0, 0.5]),
        ((".", "'"), ["1'234.5", "1\u2019234"], [1234.5, 1234.0]),
        ((",", None), ["1.5", "2.5"], [1.5, 2.5]),
        ((",", "."), ["1.5", "2.500"], ["1.5", "2.500"]),
        ((".", ","), ["0,125", "1,5"], ["0,125", "1,5"]),
        ((".", ","), ["1,23", "1,2345"], ["1,23", "1,2345"]),
        ((",", None), ["0,5", "five"], ["0,5", "five"]),
        ((",", None), ["99999999999999999999", "1"], ["99999999999999999999", "1"]),
        ((",", None), ["true", "FALSE", None], [True, False, None]),
        ((",", None), [None, None], [None, None]),
    ],
)
def test_a_column_becomes_what_all_its_values_are(
    numerals: tuple[str, str | None], written: list[str | None], read: list[Any]
) -> None:
    table = pl.DataFrame({"x": written}, schema={"x": pl.String})
    found = typed(table, Numerals(*numerals))["x"].to_list()
    assert found == read
    assert [type(value) for value in found] == [type(value) for value in read]


def test_a_file_is_read_with_the_numerals_that_are_declared(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("a;b;code;n\n1.234,5;1.234;1,5;?\n2,5;2.345;2,5;7\n", encoding="utf-8")
    data = DataSpec(source="export.csv", target="a", decimal=",", thousands=".", nulls=("?",))
    table = read_file(path, path.name, data, tmp_path, frozenset({"code"}))
    assert table.to_dicts() == [
        {"a": 1234.5, "b": 1234, "code": "1,5", "n": None},
        {"a": 2.5, "b": 2345, "code": "2,5", "n": 7},
    ]


def test_a_mark_cannot_separate_both_decimals_and_thousands() -> None:
    with pytest.raises(ValidationError, match="decimal and thousands are both ','"):
        DataSpec(source="export.csv", target="a", decimal=",", thousands=",")
