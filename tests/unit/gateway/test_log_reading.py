"""What is read from a log: typed columns and labels, read around whatever is torn or damaged."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.gateway.segment import NOON, a_row, label, write
from understudy.gateway.exchange import Wire
from understudy.gateway.log.compact import compact
from understudy.gateway.log.labels import Label
from understudy.gateway.log.line import Lines, seal
from understudy.gateway.log.read import read, read_log


def test_a_damaged_line_costs_itself_and_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path, a_row("a"), a_row("b"), a_row("c")).path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"1.5", b"2.5") + b"rubbish\n" + lines[2])
    log = read_log(tmp_path)
    assert log.rows["request_id"].to_list() == ["a", "c"]
    assert log.accounts.damaged == 2


def test_a_torn_tail_costs_itself(tmp_path: Path) -> None:
    path = write(tmp_path, a_row("a"), a_row("b")).path
    os.truncate(path, path.stat().st_size - 20)
    found = Lines(path)
    assert [facts["request_id"] for facts in found] == ["a"]
    assert (found.torn, found.damaged) == (1, 0)


def test_a_sealed_line_that_is_no_object_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path, a_row("a")).path
    with path.open("ab") as file:
        file.write(seal(b"{]}"))
    assert read_log(tmp_path).accounts.damaged == 1


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (Wire.MLFLOW_JSON, b'{"dataframe_split":{"columns":["x","k"],"data":[[1.5,"a"],[2.5,null]]}}'),
        (Wire.MLFLOW_JSON, b'{"dataframe_records":[{"x":1.5,"k":"a"},{"x":2.5}]}'),
        (Wire.MLFLOW_JSON, b'{"instances":[{"x":1.5,"k":"a"},{"x":2.5,"k":null}]}'),
        (Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5,2.5],"k":["a",null]}}'),
        (Wire.MLFLOW_CSV, b"x,k\n1.5,a\n2.5,\n"),
        (
            Wire.V2_JSON,
            b'{"inputs":[{"name":"x","shape":[2],"datatype":"FP64","data":[1.5,2.5]},'
            b'{"name":"k","shape":[2,1],"datatype":"BYTES","data":[["a"],[null]]}]}',
        ),
    ],
)
def test_features_are_typed_columns_whatever_the_protocol(tmp_path: Path, wire: Wire, body: bytes) -> None:
    write(tmp_path, a_row("a", body, wire=wire, predictions=[0, 1]))
    for _ in range(2):  # from the segment, then from Parquet
        rows = read(tmp_path)
        assert rows["x_x"].to_list() == [1.5, 2.5]
        assert rows["x_k"].to_list() == ["a", None]
        assert rows["row"].to_list() == [0, 1]
        compact(tmp_path)


def test_a_matrix_without_names_gets_numbers(tmp_path: Path) -> None:
    body = b'{"inputs":[{"name":"in","shape":[2,2],"datatype":"FP64","data":[1,2,3,4]}]}'
    write(tmp_path, a_row("a", body, wire=Wire.V2_JSON, predictions=[0, 1]))
    rows = read(tmp_path)
    assert (rows["x_0"].to_list(), rows["x_1"].to_list()) == ([1, 3], [2, 4])
    assert rows["input"].to_list() == [body.decode()] * 2  # the columns' names are not known, so it is kept as it came


def test_values_of_different_kinds_are_kept_as_they_came(tmp_path: Path) -> None:
    bodies = [b'{"inputs":{"x":[1]}}', b'{"inputs":{"x":["one"]}}', b'{"inputs":{"x":[{"a":1}]}}']
    write(tmp_path, *(a_row(f"r{at}", body) for at, body in enumerate(bodies)))
    compact(tmp_path)
    rows = read(tmp_path)
    assert rows["x_x"].to_list() == ["1", '"one"', '{"a":1}']
    assert rows["input"].to_list() == [body.decode() for body in bodies]


def test_the_latest_label_counts_however_often_and_in_whatever_order(tmp_path: Path) -> None:
    write(tmp_path, a_row("a", client="order-1", predictions=[0, 1]), a_row("b"))
    batch = [Label("a", None, 0, 1, 20), Label("a", None, 1, 0, 20)]
    label(tmp_path, *batch)
    label(tmp_path, *batch, at=NOON + timedelta(seconds=1))
    label(tmp_path, Label("a", None, 0, 9, 10), Label(None, "order-1", 1, 7, 30), at=NOON + timedelta(seconds=2))
    rows = read(tmp_path)
    assert rows.select("request_id", "row", "label").rows() == [("a", 0, 1), ("a", 1, 7), ("b", 0, None)]


def test_a_label_that_comes_after_compaction_is_joined(tmp_path: Path) -> None:
    write(tmp_path, a_row("a"))
    compact(tmp_path)
    label(tmp_path, Label("a", None, 0, "up", 1))
    assert read(tmp_path)["label"].to_list() == ["up"]


def test_a_time_window_is_half_open(tmp_path: Path) -> None:
    write(tmp_path, *(a_row(f"r{hour}", at=NOON + timedelta(hours=hour)) for hour in range(4)))
    window = (NOON + timedelta(hours=1), NOON + timedelta(hours=3))
    assert read(tmp_path, *window)["request_id"].to_list() == ["r1", "r2"]
    compact(tmp_path)
    assert read(tmp_path, *window)["request_id"].to_list() == ["r1", "r2"]


def test_an_empty_log_is_an_empty_frame(tmp_path: Path) -> None:
    rows = read(tmp_path / "none")
    assert rows.height == 0
    assert {"request_id", "prediction", "label", "at"} <= set(rows.columns)
