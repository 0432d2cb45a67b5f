"""Labels from files: late, repeated, contradictory and unmatched ones are told apart and counted."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.stage import StageRequest
from understudy.stages.context import Refused, StageContext
from understudy.stages.read.late_labels import join_labels, new_labels

ROWS = pl.DataFrame({"order": [1, 2, 3, 4], "x": [1.0, 2.0, 3.0, 4.0], "up": [None, None, 0, 1]})


def join(folder: Path, rows: pl.DataFrame, *files: str, **sections: Any) -> Any:
    spec = ModelSpec.model_validate({
        "model": "m", "owner": "o", "task": "binary_classification", "gates": [{"metric": "roc_auc"}],
        "data": {"source": "x.csv", "target": "up", "time": "at", "key": ["order"]},
        "monitor": {"labels": {"source": "labels-*.csv", "id": "id", "row": None}}, **sections,
    })  # fmt: skip
    inputs = {}
    for number, text in enumerate(files):
        inputs[f"labels-{number}.csv"] = folder / f"labels-{number}.csv"
        inputs[f"labels-{number}.csv"].write_text(text, encoding="utf-8")
    request = StageRequest(stage="snapshot", model="m", run="r", as_of=datetime(2026, 1, 1, tzinfo=timezone.utc))
    context = StageContext(request=request, inputs=inputs, outputs=folder, secrets={})
    return join_labels(context, spec, rows, None, None)


def test_each_label_finds_its_row_or_is_counted(tmp_path: Path) -> None:
    rows, counts = join(tmp_path, ROWS, "id,label\n1,1\n1,1\n9,1\n", "id,label\n2,0\n2,1\n3,0\n4,0\n")
    assert rows["up"].to_list() == [1, None, 0, 1]
    assert rows.columns == ROWS.columns
    assert (counts.given, counts.matched, counts.repeated) == (7, 3, 1)
    assert (counts.contradictory, counts.unmatched) == (2, 1), "two labels of row 2; row 4 has another one already"


def test_requests_are_named_by_the_caller_and_the_place_in_them(tmp_path: Path) -> None:
    logged = pl.DataFrame({"__client_id": ["a", "a"], "__row": [0, 1], "x": [1.0, 2.0], "up": [None, None]})
    labels = {"labels": {"source": "labels-*.csv", "id": "id", "row": "place"}}
    rows, counts = join(tmp_path, logged, "id,place,label\na,1,1\n", monitor=labels)
    assert rows["up"].to_list() == [None, 1]
    assert counts.matched == 1


def test_label_files_write_numbers_as_the_models_own_files_do(tmp_path: Path) -> None:
    data = {"source": "x.csv", "target": "up", "time": "at", "key": ["order"], "decimal": ",", "thousands": "."}
    rows = ROWS.with_columns(up=pl.lit(None, pl.Float64))
    rows, _ = join(
        tmp_path, rows, "id;label\n1;1.234,5\n2;0,25\n", data=data, task="regression", gates=[{"metric": "mae"}]
    )
    assert rows["up"].to_list() == [1234.5, 0.25, None, None]


def test_no_label_has_come_yet(tmp_path: Path) -> None:
    rows, counts = join(tmp_path, ROWS.drop("up"))
    assert rows["up"].null_count() == 4
    assert counts.given == 0


def test_labels_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="another kind than 'up'"):
        join(tmp_path, ROWS, "id,label\n1,yes\n2,no\n")


def test_rows_without_a_name_cannot_be_labelled(tmp_path: Path) -> None:
    data = {"source": "x.csv", "target": "up", "time": "at"}
    with pytest.raises(Refused, match=r"data\.key"):
        join(tmp_path, ROWS, "id,label\n1,1\n", data=data)


def test_a_model_without_such_labels_is_left_alone(tmp_path: Path) -> None:
    assert join(tmp_path, ROWS, monitor={}) is None


def test_new_labels_are_those_of_newer_rows() -> None:
    at = pl.Series("at", ["2026-01-01", "2026-01-02", "2026-01-03"]).str.to_datetime(time_zone="UTC")
    rows = pl.DataFrame({"up": [1, None, 0]}).with_columns(at)
    assert new_labels(rows, "at", "up", None) == 2
    assert new_labels(rows, "at", "up", at[0]) == 1
    assert new_labels(rows, "", "up", None) is None
