"""What callers send: read in every form of both protocols, refused in one sentence that repeats nothing of it."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from understudy.gateway.scoring.read_mlflow import read_csv, read_mlflow
from understudy.gateway.scoring.read_v2 import read_v2
from understudy.gateway.scoring.refusals import (
    ColumnMissing,
    RequestRefused,
    RequestUnreadable,
    TooManyRows,
    ValueUnusable,
)
from understudy.gateway.scoring.rows import Rows, concatenated, typed_rows
from understudy.gateway.scoring.table import Limits
from understudy.stages.model.features import Features

NUMBERS = Features(names=("a", "b"))
MIXED = Features(names=("a", "kind", "b"), texts=("kind",))
SECRET = "4111111111111111"


def limits(features: Features, max_rows: int = 5) -> Limits:
    return Limits(features.names, frozenset(features.texts), not features.texts, max_rows)


def rows_of(given: Any, features: Features = NUMBERS) -> Rows:
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    return typed_rows(read_mlflow(body, limits(features)), features)


def v2(features: Features = NUMBERS, **tensors: tuple[str, list[int], list[Any]]) -> bytes:
    inputs = [{"name": n, "datatype": t, "shape": s, "data": d} for n, (t, s, d) in tensors.items()]
    return json.dumps({"id": "r1", "inputs": inputs}).encode()


@pytest.mark.parametrize(
    "given",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, None]]}},
        {"dataframe_split": {"columns": ["b", "zz", "a"], "data": [[2, "x", 1], [None, "y", 3]], "index": [7, 7]}},
        {"dataframe_records": [{"a": 1, "b": 2}, {"b": None, "a": 3, "zz": []}]},
        {"dataframe_records": [{"a": True, "b": "2.0"}, {"a": " 3 "}]},
        {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": None}]},
        {"instances": {"a": [1, 3], "b": [2, None]}, "params": {"x": 1}},
        {"inputs": [{"a": 1, "b": 2}, {"a": 3}]},
        {"inputs": {"a": [1, 3], "b": [2, None], "zz": [[1]]}},
        b'{"dataframe_records": [{"a": 9, "a": 1, "b": 2}, {"a": 3, "b": NaN}]}',
        b'{"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 1e400}]}',
        b'\xef\xbb\xbf{"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": -Infinity}]}',
    ],
    ids=str,
)
def test_each_form_of_mlflows_json_gives_the_same_rows(given: Any) -> None:
    np.testing.assert_array_equal(rows_of(given).numbers, [[1.0, 2.0], [3.0, math.nan]])


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        (b"", RequestUnreadable),
        (b"{", RequestUnreadable),
        (b"[1]", RequestUnreadable),
        (b"null", RequestUnreadable),
        (b'{"dataframe_records": "\xff"}', RequestUnreadable),
        (b'{"dataframe_records": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", RequestUnreadable),
        (b'{"dataframe_records": [{"a": 1, "b": "\\ud800"}]}', RequestUnreadable),
        ({}, RequestUnreadable),
        ({"inputs": [], "instances": []}, RequestUnreadable),
        ({"dataframe_split": [[1, 2]]}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", "b"]}}, RequestUnreadable),
        ({"dataframe_split": {"data": [[1, 2]]}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", 1], "data": [[1, 2]]}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", "b"], "data": []}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [1]}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", "b"], "data": {"0": [1, 2]}}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", "b", "a"], "data": [[1, 2, 3]]}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "index": [1, 2]}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "other": 1}}, RequestUnreadable),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, ColumnMissing),
        ({"dataframe_records": {"a": 1, "b": 2}}, RequestUnreadable),
        ({"dataframe_records": []}, RequestUnreadable),
        ({"dataframe_records": [{"a": 1, "b": 2}, 3]}, RequestUnreadable),
        ({"dataframe_records": [{"a": 1}]}, ColumnMissing),
        ({"dataframe_records": [{}]}, ColumnMissing),
        ({"dataframe_records": [{"a": SECRET + "x", "b": 1}]}, ValueUnusable),
        ({"dataframe_records": [{"a": "", "b": 1}]}, ValueUnusable),
        ({"dataframe_records": [{"a": [1], "b": 1}]}, ValueUnusable),
        ({"dataframe_records": [{"a": {}, "b": 1}]}, ValueUnusable),
        ({"dataframe_records": [{"a": 10**400, "b": 1}]}, ValueUnusable),
        ({"dataframe_records": [{"a": 1, "b": 2}] * 6}, TooManyRows),
        ({"instances": [{"a": 1, "b": 2}, {"a": 1}]}, RequestUnreadable),
        ({"instances": [[1, 2]]}, RequestUnreadable),
        ({"inputs": {"a": [1, 2], "b": [1]}}, RequestUnreadable),
        ({"inputs": {"a": [1] * 6, "b": [1] * 6}}, TooManyRows),
        ({"inputs": {"a": [[1]], "b": [[2]]}}, ValueUnusable),
        ({"inputs": {"a": 1, "b": [1]}}, RequestUnreadable),
        ({"inputs": None}, RequestUnreadable),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(given: Any, refusal: type[RequestRefused]) -> None:
    with pytest.raises(RequestRefused) as raised:
        rows_of(given)
    assert type(raised.value) is refusal
    assert raised.value.status == (413 if refusal is TooManyRows else 400)
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_model_with_one_column_takes_a_plain_list_as_mlflow_does() -> None:
    one = Features(names=("a",))
    assert rows_of({"inputs": [1, 2]}, one).numbers.tolist() == [[1.0], [2.0]]


def test_one_row_of_scalars_is_one_row() -> None:
    assert rows_of({"inputs": {"a": 1, "b": 2}}).numbers.tolist() == [[1.0, 2.0]]


def test_rows_are_typed_as_training_typed_them() -> None:
    records = [
        {"a": 1, "kind": "north", "b": True},
        {"a": "true", "kind": 7, "b": None},
        {"a": None, "kind": None, "b": 2.5},
        {"a": -0.5, "kind": True, "b": "False"},
    ]
    expected = MIXED.of(pd.DataFrame(records))
    pd.testing.assert_frame_equal(rows_of({"dataframe_records": records}, MIXED).frame(MIXED), expected)


def test_requests_put_together_keep_their_order() -> None:
    parts = [rows_of({"inputs": {"a": a, "kind": k, "b": 0}}, MIXED) for a, k in [(1, "x"), (2, None), (3, "y")]]
    together = concatenated(parts)
    assert together.numbers[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert together.texts == (["x", pytest.approx(math.nan, nan_ok=True), "y"],)


def test_csv_is_read_by_name_with_empty_cells_missing() -> None:
    body = b"kind,b,zz,a\nnorth,1,q,2\n,,q,True\n"
    rows = typed_rows(read_csv(body, limits(MIXED)), MIXED)
    np.testing.assert_array_equal(rows.numbers, [[2.0, 1.0], [1.0, math.nan]])
    assert rows.texts[0][0] == "north"
    assert math.isnan(rows.texts[0][1])


def test_csv_keeps_numbers_in_a_column_of_categories_as_they_are_written() -> None:
    rows = typed_rows(read_csv(b"a,kind,b\n1,007,2\n", limits(MIXED)), MIXED)
    assert rows.texts == (["007"],)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a,b\n",
        b"a,b\n\xff,1\n",
        b'"a,b\n1,2',
        b"a,b\n9,1,2\n9,3,4\n",
        b"a,b\n1,2\n1,2,3\n",
        b"," * 20_000 + b"\n1",
        b"a;b\n1;2\n",
        b"a,b\nx,2\n",
        b"a,b\n" + b"1,2\n" * 6,
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_csv_that_cannot_be_scored_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefused):
        typed_rows(read_csv(body, limits(NUMBERS)), NUMBERS)


def test_v2_takes_a_tensor_for_each_column() -> None:
    body = v2(a=("FP64", [2], [1.5, None]), b=("INT64", [2, 1], [[3], [4]]), zz=("BYTES", [2], ["p", "q"]))
    request = read_v2(body, limits(NUMBERS))
    assert request.id == "r1"
    np.testing.assert_array_equal(typed_rows(request.table, NUMBERS).numbers, [[1.5, 3.0], [math.nan, 4.0]])


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]], ids=["flat", "nested"])
def test_v2_takes_one_tensor_for_all_numbers(data: list[Any]) -> None:
    request = read_v2(v2(anything=("FP32", [2, 2], data)), limits(NUMBERS))
    assert typed_rows(request.table, NUMBERS).numbers.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_v2_takes_categories_as_bytes() -> None:
    body = v2(a=("FP64", [1], [1]), kind=("BYTES", [1], ["north"]), b=("BOOL", [1], [True]))
    rows = typed_rows(read_v2(body, limits(MIXED)).table, MIXED)
    assert (rows.numbers.tolist(), rows.texts) == ([[1.0, 1.0]], (["north"],))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"inputs": []}',
        b'{"inputs": [1]}',
        b'{"id": 5, "inputs": [{}]}',
        v2(a=("FP64", [2], [1])),
        v2(a=("FP64", [0], []), b=("FP64", [0], [])),
        v2(a=("FP64", [1], [1])),
        v2(a=("FP64", [1], [1]), b=("FP64", [2], [1, 2])),
        v2(a=("FP64", [1], ["1"]), b=("FP64", [1], [1])),
        v2(a=("INT64", [1], [1.5]), b=("FP64", [1], [1])),
        v2(a=("FP64", [1], [[1]]), b=("FP64", [1], [1])),
        v2(a=("COMPLEX", [1], [1]), b=("FP64", [1], [1])),
        v2(x=("FP64", [1, 3], [1, 2, 3])),
        v2(x=("FP64", [-1, 2], [1, 2])),
        v2(x=("FP64", [True, 2], [1, 2])),
        v2(x=("FP64", [1, 1, 2], [1, 2])),
        v2(x=("FP64", [10**12, 2], [1, 2])),
        v2(x=("FP64", [2, 2], [[1, 2], [3]])),
        b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}], "outputs": [{"name": "y"}]}',
    ],
    ids=lambda body: str(body)[:90],
)
def test_a_v2_request_that_cannot_be_scored_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefused):
        typed_rows(read_v2(body, limits(NUMBERS)).table, NUMBERS)
