"""The rows that a monitor fetches: one version's answers of a span of time, counted whole, sampled repeatably."""

from datetime import timedelta
from pathlib import Path

import polars as pl

from tests.unit.gateway.log_evidence import NOON, says
from understudy.contract.serving import RowsQuery
from understudy.contract.words import Role
from understudy.gateway.exchange import LogRow
from understudy.gateway.log.encode import Encoder
from understudy.gateway.log.rows import written
from understudy.gateway.log.segment import Segment
from understudy.hooks.traffic.live_rows import join_parts


def query(limit: int = 1000, version: int = 1) -> RowsQuery:
    return RowsQuery(version=version, since=NOON, until=NOON + timedelta(hours=1), limit=limit)


def write(folder: Path, *rows: LogRow) -> None:
    segment, encoder = Segment(folder / "segments", NOON), Encoder(())
    for row in rows:
        segment.write(encoder.line(row))
    segment.close()


def test_only_what_this_version_answered_in_the_span_is_written(tmp_path: Path) -> None:
    write(
        tmp_path,
        says(1, "a", [1]),
        says(1, "b", [0], role=Role.STANDBY),
        says(1, "c", [1], role=Role.SHADOW),
        says(2, "d", [1]),
        says(1, "e", status=500),
        says(1, "f", [1], at=NOON + timedelta(hours=2)),
    )
    counted = written(tmp_path, "left", query(), tmp_path / "rows.parquet")
    assert (counted.rows, counted.written_rows, counted.labelled_rows) == (2, 2, 0)
    assert pl.read_parquet(tmp_path / "rows.parquet")["prediction"].to_list() == [1, 0]


def test_a_sample_is_the_same_each_time_and_the_count_is_of_all(tmp_path: Path) -> None:
    write(tmp_path, *(says(1, f"r{number:03}", [number]) for number in range(200)))
    found = []
    for name in ("once.parquet", "again.parquet"):
        counted = written(tmp_path, "left", query(limit=20), tmp_path / name)
        assert (counted.rows, counted.written_rows) == (200, 20)
        found.append(pl.read_parquet(tmp_path / name)["prediction"].to_list())
    assert found[0] == found[1]
    assert len(found[0]) == 20


def part(path: Path, label: object, **features: object) -> Path:
    at = pl.Series("at", [NOON], dtype=pl.Datetime("ns", "UTC"))
    known = {"request_id": ["r"], "client_id": ["c"], "row": [0], "version": [1], "prediction": [1], "label": [label]}
    sure = pl.Series("probabilities", [[0.2, 0.8]])
    table = pl.DataFrame({**known, **{f"x_{name}": [value] for name, value in features.items()}})
    table.with_columns(at, sure, at.alias("label_at")).write_parquet(path)
    return path


def test_replicas_are_joined_under_the_names_of_training(tmp_path: Path) -> None:
    one = part(tmp_path / "a.parquet", None, wind=1.5, at="monday", up="what the caller thinks")
    other = part(tmp_path / "b.parquet", 1, wind="strong")
    written(tmp_path / "no-log", "left", query(), tmp_path / "empty.parquet")
    assert join_parts([one, other, tmp_path / "empty.parquet"], tmp_path / "joined.parquet", "up") == 2
    joined = pl.read_parquet(tmp_path / "joined.parquet")
    assert joined["wind"].to_list() == ["1.5", "strong"]
    assert joined["at"].to_list() == ["monday", None], "a feature may be called as the log's own column"
    assert joined["up"].to_list() == [None, 1], "the label, whatever the caller sent under its name"
    assert joined["__probability"].to_list() == [0.8, 0.8]


def test_nothing_was_asked_anywhere(tmp_path: Path) -> None:
    counted = written(tmp_path / "no-log", "left", query(), tmp_path / "rows.parquet")
    assert counted.rows == 0
    assert join_parts([tmp_path / "rows.parquet"], tmp_path / "joined.parquet", "up") == 0
