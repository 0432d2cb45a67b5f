"""The five real tables: strings and numbers as targets, with and without dates, gaps, new categories, real drift."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.judges.challenger import judge
from understudy.contract.reports import EvaluationReport, TrainingReport
from understudy.contract.stage import StageRequest
from understudy.stages.context import StageContext
from understudy.stages.evaluate import run as evaluate
from understudy.stages.train import run as train

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not beside the repository")
NEWEST = 4_000

TABLES: dict[str, dict[str, Any]] = {
    "electricity": {
        "task": "binary_classification",
        "data": {"target": "class", "time": "timestamp", "drop": ["date"]},
        "gates": [{"metric": "roc_auc", "floor": 0.7}],
        "evaluate": {"slices": ["day"]},
    },
    "bike_hour": {
        "task": "regression",
        "data": {"target": "cnt", "time": "timestamp", "drop": ["casual", "registered", "instant", "dteday"]},
        "gates": [{"metric": "mae", "ceiling": 80}],
    },
    "insects_gradual": {
        "task": "multiclass_classification",
        "data": {"target": "species", "time": "timestamp"},
        "gates": [{"metric": "balanced_accuracy", "floor": 0.25}],
    },
    "adult": {
        "task": "binary_classification",
        "data": {"target": "income-per-year", "classes": {"sensitive": ["sex", "race"]}},
        "gates": [{"metric": "roc_auc", "floor": 0.85}],
        "evaluate": {"slices": ["sex", "age"], "fairness": ["sex"]},
    },
    "bank_marketing": {
        "task": "binary_classification",
        "data": {"target": "y", "drop": ["duration"]},
        "gates": [{"metric": "average_precision", "floor": 0.25}],
    },
}


def read(name: str) -> pd.DataFrame:
    frame = pd.read_csv(DATA / f"{name}.csv.gz", sep=";" if name == "bank_marketing" else ",", na_values="?")
    if "timestamp" in frame:
        frame["timestamp"] = pd.to_datetime(frame["timestamp"])
    return frame.tail(NEWEST)


@pytest.mark.parametrize("name", list(TABLES))
def test_a_model_of_the_newer_rows_is_trained_and_compared_with_one_of_the_older(name: str, tmp_path: Path) -> None:
    table, frame = TABLES[name], read(name)
    dated = "time" in table["data"]
    declared = {
        **table,
        "model": "m",
        "owner": "o",
        "data": {"source": "a.csv", **table["data"]},
        "split": {"method": "time" if dated else "random"},
        "train": {"params": {"max_iter": 30}},
    }
    older = train(context(tmp_path / "older", declared, frame.head(len(frame) * 3 // 4))).report
    newer = train(context(tmp_path / "newer", declared, frame)).report
    assert isinstance(older, TrainingReport)
    assert isinstance(newer, TrainingReport)
    made = tmp_path / "newer" / "out"
    inputs = {
        "holdout.parquet": made / "holdout.parquet",
        "challenger": made / "model",
        "references": made / "references",
        "champion": tmp_path / "older" / "out" / "model",
    }
    report = evaluate(context(tmp_path / "contest", declared, None, inputs, champion_version=1)).report
    assert isinstance(report, EvaluationReport)
    assert report.leaked_rows == 0
    assert report.rows == newer.rows_held_out
    spec = ModelSpec.model_validate(declared)
    judgement = judge(report, spec.gates, spec.evaluate)
    answered = {r.gate: r.verdict for r in judgement.results}
    assert "inconclusive" not in answered.values(), judgement.sentence
    assert {v for gate, v in answered.items() if gate.endswith((".floor", ".ceiling"))} == {"passed"}


def context(
    folder: Path,
    declared: dict[str, Any],
    frame: pd.DataFrame | None,
    inputs: dict[str, Path] | None = None,
    **params: Any,
) -> StageContext:
    (folder / "out").mkdir(parents=True)
    if frame is not None:
        frame.to_parquet(folder / "data.parquet")
    request = StageRequest(
        stage="x",
        model="m",
        run="r",
        as_of=datetime(2026, 1, 1, tzinfo=timezone.utc),
        spec=json.loads(json.dumps(declared)),
        params=params,
    )
    return StageContext(request, inputs or {"data.parquet": folder / "data.parquet"}, folder / "out")
