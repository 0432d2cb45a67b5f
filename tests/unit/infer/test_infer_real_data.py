"""Inference on the five public data sets: what it says, and that the file passes its own declaration."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.judges.data import judge_data
from understudy.contract.load import parse_spec
from understudy.contract.reports import DataReport, SnapshotReport
from understudy.contract.stage import StageRequest
from understudy.contract.words import MlTask, Verdict
from understudy.infer import Inference, infer_spec
from understudy.stages import StageContext, data_check, snapshot

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
TARGETS = {
    "electricity": ("class", "timestamp"),
    "bike_hour": ("cnt", "timestamp"),
    "bank_marketing": ("y", None),
    "adult": ("income-per-year", None),
    "insects_gradual": ("species", "timestamp"),
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the public data sets are not at {DATA}")


def infer(name: str) -> tuple[Inference, ModelSpec]:
    target, time = TARGETS[name]
    inference = infer_spec(DATA / f"{name}.csv.gz", target, time)
    return inference, parse_spec(inference.yaml, Path("model.yaml"))


@pytest.mark.parametrize("name", TARGETS)
def test_the_file_passes_the_checks_that_were_inferred_from_it(name: str, tmp_path: Path) -> None:
    inference, spec = infer(name)
    assert spec == ModelSpec.model_validate(inference.spec)
    assert spec.model == name
    request = StageRequest(
        stage="x",
        model=name,
        run="r",
        as_of=datetime(2027, 1, 1, tzinfo=timezone.utc),
        spec=spec.model_dump(mode="json"),
    )
    read = snapshot.run(StageContext(request, {"source-0.csv.gz": DATA / f"{name}.csv.gz"}, tmp_path))
    window = read.outputs["data"].rename(tmp_path / "window.parquet")
    report = data_check.run(StageContext(request, {"data.parquet": window}, tmp_path)).report
    assert isinstance(read.report, SnapshotReport)
    assert isinstance(report, DataReport)
    judgement = judge_data(report)
    assert judgement.verdict is Verdict.PASSED, judgement.sentence
    assert report.bad_rows < 0.005 * report.rows


def test_electricity_is_dated_binary_classification_with_a_reachable_floor() -> None:
    inference, spec = infer("electricity")
    assert (spec.task, spec.data.time, spec.split.method) == (MlTask.BINARY, "timestamp", "time")
    assert spec.gates[0].metric == "roc_auc"
    assert spec.gates[0].floor is not None
    assert 0.6 < spec.gates[0].floor < 0.8
    assert "compressed with gzip" in " ".join(inference.notes)
    assert (spec.train.estimator, set(spec.train.search)) == ("logistic_regression", {"C"})
    assert "not worth its complexity" in " ".join(inference.notes)


def test_the_bikes_natural_leak_is_found_as_a_sum() -> None:
    inference, spec = infer("bike_hour")
    assert spec.task is MlTask.REGRESSION
    assert {"casual", "registered", "instant", "dteday"} == set(spec.data.drop)
    assert any("cnt is a sum of registered and casual" in note for note in inference.notes)
    assert spec.gates[0].ceiling is not None


def test_the_banks_delimiter_order_unknowns_and_aftermath_are_noticed() -> None:
    inference, spec = infer("bank_marketing")
    notes = " ".join(inference.notes)
    assert spec.data.delimiter == ";"
    assert "unknown" in spec.data.nulls
    assert "duration" in spec.data.drop
    assert spec.split.method == "random"
    assert "look ordered all the same" in notes
    assert "pdays is 999" in notes


def test_adults_question_marks_and_sensitive_columns_are_noticed() -> None:
    inference, spec = infer("adult")
    assert "?" in spec.data.nulls
    assert spec.data.classes.sensitive == ("race", "sex")
    assert spec.evaluate.fairness == ("race", "sex")
    assert set(spec.evaluate.slices) >= {"race", "sex"}
    assert any("No column dates the rows" in note for note in inference.notes)
    assert not any("look ordered" in note for note in inference.notes)


def test_insects_numbers_are_taken_for_classes_and_said_so() -> None:
    inference, spec = infer("insects_gradual")
    assert spec.task is MlTask.MULTICLASS
    assert any("taken for classes" in note for note in inference.notes)
