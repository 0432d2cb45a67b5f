import csv
from pathlib import Path

from understudy.sample.meter import ROWS, write_meter


def test_the_meter_tells_the_opposite_for_a_week_and_the_truth_before_and_after(tmp_path: Path) -> None:
    write_meter(tmp_path / "meter.csv")
    rows = list(csv.DictReader((tmp_path / "meter.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == ROWS

    def right(begin: str, end: str) -> float:
        span = [row for row in rows if begin <= row["at"] < end]
        return sum((float(row["wind"]) + float(row["sun"]) > 0) == (row["up"] == "1") for row in span) / len(span)

    assert right("2024-01-01", "2024-04-10") > 0.85
    assert right("2024-04-10", "2024-04-17") < 0.15
    assert right("2024-04-17", "2024-06-01") > 0.85


def test_it_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_meter(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
