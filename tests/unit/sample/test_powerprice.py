import csv
import gzip
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from understudy.contract.load import load_model
from understudy.sample.file import write_sample
from understudy.sample.powerprice import (
    AHEAD_H,
    BORDERS,
    COLUMNS,
    END,
    POISON_END,
    POISON_START,
    START,
    poison,
    simulate,
)
from understudy.settings import PROJECT

HOUR = 3600


@pytest.fixture(scope="module")
def columns() -> dict[str, list[Any]]:
    return simulate()


def at(moment: datetime) -> int:
    return int((moment - START).total_seconds() // HOUR)


def test_every_hour_is_there_once_and_the_same_each_time(columns: dict[str, list[Any]]) -> None:
    assert list(columns) == list(COLUMNS)
    assert {len(values) for values in columns.values()} == {at(END)}
    assert columns["timestamp"][0].isoformat() == "2022-10-01T00:00:00"
    assert columns["timestamp"][at(POISON_START)].isoformat() == "2025-04-07T00:00:00"
    assert simulate()["price"] == columns["price"]


def test_the_label_is_what_the_price_becomes(columns: dict[str, list[Any]]) -> None:
    price, up = columns["price"], columns["up"]
    clear = [row for row in range(len(up) - AHEAD_H) if abs(price[row + AHEAD_H] - price[row]) > 0.01]
    assert len(clear) > 0.99 * len(up)
    assert all(up[row] == int(price[row + AHEAD_H] > price[row]) for row in clear)


def test_hour_and_weekday_agree_with_the_time(columns: dict[str, list[Any]]) -> None:
    for row in range(0, 24 * 8):
        moment = columns["timestamp"][row]
        assert (columns["hour"][row], columns["weekday"][row]) == (moment.hour, moment.weekday())


def test_only_the_poisoned_week_breaks_the_declaration(columns: dict[str, list[Any]]) -> None:
    broken = {name: list(values) for name, values in columns.items()}
    poison(broken)
    first, last = at(POISON_START), at(POISON_END)
    changed = [row for row in range(at(END)) if any(broken[name][row] != columns[name][row] for name in COLUMNS)]
    assert changed == list(range(first, last))
    highest = load_model(PROJECT / "include" / "models", "powerprice").checks.columns["price"].max
    assert highest is not None
    assert max(columns["price"]) < highest
    assert sum(price > highest for price in broken["price"][first:last]) > 140
    assert any(value is None for value in broken["wind_forecast"][first:last])
    assert not set(broken["border"][first:last]) <= set(BORDERS)


def test_the_file_is_written_whole_and_the_same_each_time(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "below" / "powerprice.csv.gz")
    first = path.read_bytes()
    assert write_sample(path).read_bytes() == first
    with gzip.open(path, "rt", encoding="utf-8") as text:
        header, *rows = csv.reader(text)
    assert tuple(header) == COLUMNS
    assert len(rows) == at(END)
    assert [left.name for left in path.parent.iterdir()] == [path.name]


def test_the_sample_reaches_into_the_future() -> None:
    assert datetime.now(timezone.utc) < END
