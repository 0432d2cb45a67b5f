"""Labels that arrive as files or in a table: one for each row that was asked for, and all others counted."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import LabelsReport
from understudy.contract.stage import StageRequest
from understudy.stages import Refused, StageContext
from understudy.stages.labels import run


def read(
    folder: Path,
    *files: str,
    labels: dict[str, Any] | None = None,
    secrets: dict[str, str] | None = None,
    task: str = "binary_classification",
    **params: Any,
) -> tuple[LabelsReport, pl.DataFrame]:
    declared = {"source": "labels/*.csv", "id": "order", "label": "sold", **(labels or {})}
    spec = ModelSpec.model_validate(
        {
            "model": "m",
            "owner": "o",
            "task": task,
            "gates": [{"metric": "mae" if task == "regression" else "roc_auc"}],
            "data": {"source": "rows.csv", "target": "y", "time": "at", "nulls": ["", "?"]},
            "monitor": {"labels": {key: value for key, value in declared.items() if value is not None}},
        }
    )
    inputs = {}
    for number, content in enumerate(files):
        inputs[f"labels-{number}.csv"] = folder / f"labels-{number}.csv"
        inputs[f"labels-{number}.csv"].write_text(content, encoding="utf-8")
    outputs = folder / "outputs"
    outputs.mkdir()
    params.setdefault("label_files", {name: f"day-{name[7]}.csv" for name in inputs})
    request = StageRequest(
        stage="labels",
        model="m",
        run="r",
        as_of=datetime(2026, 1, 1, tzinfo=timezone.utc),
        spec=spec.model_dump(mode="json"),
        params=params,
    )
    output = run(StageContext(request=request, inputs=inputs, outputs=outputs, secrets=secrets or {}))
    assert isinstance(output.report, LabelsReport)
    return output.report, pl.read_parquet(output.outputs["labels"])


def test_the_last_label_of_a_row_counts_and_the_others_are_counted(tmp_path: Path) -> None:
    report, kept = read(
        tmp_path,
        "order,sold\na,1\nb,0\na,1\n",
        "order,sold\nb,1\nc,?\n,1\n",
    )
    assert kept.rows() == [("a", 0, 1), ("b", 0, 1)]
    assert (report.rows, report.usable, report.unusable, report.repeated, report.contradicted) == (6, 2, 2, 2, 1)
    assert set(report.sources) == {"day-0.csv", "day-1.csv"}


def test_rows_of_one_request_are_told_apart_by_their_place(tmp_path: Path) -> None:
    report, kept = read(tmp_path, "order,place,sold\na,0,yes\na,1,no\na,-1,no\na,x,no\n", labels={"row": "place"})
    assert kept.rows() == [("a", 0, "yes"), ("a", 1, "no")]
    assert report.unusable == 2


def test_an_id_of_digits_stays_the_text_that_the_caller_sent(tmp_path: Path) -> None:
    _, kept = read(tmp_path, "order,sold\n007,1\n7,0\n")
    assert kept["id"].to_list() == ["007", "7"]


@pytest.mark.parametrize("label", ["nan", "inf", "soon"])
def test_what_is_no_number_labels_no_regression(tmp_path: Path, label: str) -> None:
    report, kept = read(tmp_path, f"order,sold\na,0.5\nb,{label}\n", task="regression")
    assert kept.rows() == [("a", 0, 0.5)]
    assert report.unusable == 1


def test_no_label_at_all_is_an_empty_answer_and_no_crash(tmp_path: Path) -> None:
    report, kept = read(tmp_path, "order,sold\na,?\n")
    assert (report.usable, report.unusable, kept.height) == (0, 1, 0)


def test_a_table_is_read_for_the_time_that_is_asked_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("CREATE TABLE outcome (id TEXT, at TEXT, sold INTEGER)"))
        connection.execute(text("INSERT INTO outcome VALUES ('old', '2025-01-01', 1), ('new', '2026-01-02', 0)"))
    labels = {
        "source": None,
        "query": "SELECT id, sold FROM outcome WHERE at >= {start} AND at < {end}",
        "connection": "shop",
        "id": "id",
    }
    _, kept = read(
        tmp_path,
        labels=labels,
        secrets={"labels_url": url},
        start="2026-01-01T00:00:00+00:00",
        end="2026-02-01T00:00:00+00:00",
    )
    assert kept.rows() == [("new", 0, 0)]


@pytest.mark.parametrize(
    ("files", "labels", "told"),
    [
        (["order,sold\na,1\n"], {"id": "ordr"}, "monitor.labels.id: 'ordr' is not a column of day-0.csv; did you mean"),
        (["order,sold\na,1\n"], {"label": "bought"}, "monitor.labels.label: 'bought' is not a column"),
        ([""], {}, "monitor.labels: day-0.csv is empty"),
        (["order,sold\na,1,2\n"], {}, "monitor.labels: day-0.csv"),
    ],
)
def test_what_cannot_be_read_is_refused_by_the_name_of_its_field(
    tmp_path: Path, files: list[str], labels: dict[str, Any], told: str
) -> None:
    with pytest.raises(Refused, match=told.replace(".", r"\.")):
        read(tmp_path, *files, labels=labels)
