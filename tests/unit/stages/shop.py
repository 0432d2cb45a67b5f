"""A small simulated table of a shop, its declaration, and the two stages that train on it."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.reports import TrainingReport, TrialReport
from understudy.contract.stage import StageRequest
from understudy.stages.context import StageContext, StageOutput
from understudy.stages.train import run as train
from understudy.stages.trial import run as trial

ROWS = 600


def table(seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    color = draw.choice(["red", "green", "blue"], ROWS)
    size = draw.normal(size=ROWS)
    chance = 1 / (1 + np.exp(-(1.5 * size + 2.0 * (color == "red") - 0.8)))
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
            "customer": np.arange(ROWS),
            "mail": [f"p{i}@example.org" for i in range(ROWS)],
            "size": size,
            "color": color,
            "noise": draw.normal(size=ROWS),
            "is_new": draw.integers(0, 2, ROWS).astype(bool),
            "empty": np.nan,
            "sex": draw.choice(["f", "m"], ROWS),
            "bought": np.where(draw.uniform(size=ROWS) < chance, "yes", "no"),
        }
    )
    frame.loc[::17, "size"] = np.nan
    frame.loc[::23, "color"] = None
    return frame


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "model": "shop",
        "owner": "team",
        "task": "binary_classification",
        "data": {
            "source": "shop.csv",
            "target": "bought",
            "time": "at",
            "key": ["customer"],
            "classes": {"pii": ["mail"], "sensitive": ["sex"]},
            **changes.pop("data", {}),
        },
        "train": {"params": {"max_iter": 20}, **changes.pop("train", {})},
        "gates": [{"metric": "roc_auc"}],
        **changes,
    }


AS_OF = datetime(2024, 3, 1, tzinfo=timezone.utc)


def call(
    stage: Any, tmp_path: Path, declared: dict[str, Any], frame: pd.DataFrame | None = None, **params: Any
) -> StageOutput:
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir(exist_ok=True)
    outputs.mkdir(exist_ok=True)
    (table() if frame is None else frame).to_parquet(inputs / "data.parquet")
    mounted = {"data.parquet": inputs / "data.parquet"}
    if (tmp_path / "code").exists():
        mounted["code"] = tmp_path / "code"
    request = StageRequest(
        stage="x",
        model="shop",
        run="r",
        as_of=AS_OF,
        spec=json.loads(json.dumps(declared)),
        params=params,
    )
    output: StageOutput = stage(StageContext(request, mounted, outputs))
    return output


def training(
    tmp_path: Path, declared: dict[str, Any], frame: pd.DataFrame | None = None, **params: Any
) -> TrainingReport:
    report = call(train, tmp_path, declared, frame, **params).report
    assert isinstance(report, TrainingReport)
    return report


def trial_report(
    tmp_path: Path, declared: dict[str, Any], frame: pd.DataFrame | None = None, **params: Any
) -> TrialReport:
    report = call(trial, tmp_path, declared, frame, **params).report
    assert isinstance(report, TrialReport)
    return report


def code(tmp_path: Path, **files: str) -> None:
    (tmp_path / "code").mkdir(exist_ok=True)
    for name, text in files.items():
        (tmp_path / "code" / f"{name}.py").write_text(text)
