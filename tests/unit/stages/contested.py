"""A small simulated table to train and compare models on, and how it is declared for each task."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.stage import StageRequest
from understudy.stages.context import StageContext

ROWS = 1500
HOSTILE = "<script>alert('1')</script>"
TARGETS = {
    "binary_classification": ("won", "roc_auc"),
    "multiclass_classification": ("level", "balanced_accuracy"),
    "regression": ("amount", "mae"),
}


def table() -> pd.DataFrame:
    draw = np.random.default_rng(5)
    size, group = draw.normal(size=ROWS), draw.choice(["a", "b", HOSTILE], ROWS)
    pull = 2 * size * np.where(group == "a", 1, -1)
    chance = 1 / (1 + np.exp(-pull))
    return pd.DataFrame(
        {
            "at": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
            "id": np.arange(ROWS),
            "size": size,
            "group": group,
            "other": draw.normal(size=ROWS),
            "won": np.where(draw.uniform(size=ROWS) < chance, "yes", "no"),
            "level": pd.cut(pull, [-99, -1, 1, 99], labels=["low", "mid", "high"]).astype(str),
            "amount": 10 + pull + draw.normal(size=ROWS),
        }
    )


def spec(task: str = "binary_classification", *, dated: bool = True, **changes: Any) -> dict[str, Any]:
    target, primary = TARGETS[task]
    others = [t for t, _ in TARGETS.values() if t != target]
    return {
        "model": "m",
        "owner": "team",
        "task": task,
        "data": {
            "source": "a.csv",
            "target": target,
            "time": "at" if dated else None,
            "drop": [*others, "id"] if dated else [*others, "id", "at"],
        },
        "split": {"method": "time" if dated else "random"},
        "train": {"params": {"max_iter": 25}},
        "evaluate": {"slices": ["group", "other"], "fairness": ["group"], "min_slice_rows": 50},
        "gates": [{"metric": primary}],
        **changes,
    }


def context(
    stage: str, declared: dict[str, Any], inputs: dict[str, Path], outputs: Path, **params: Any
) -> StageContext:
    outputs.mkdir(parents=True, exist_ok=True)
    request = StageRequest(
        stage=stage,
        model="m",
        run="r",
        as_of=datetime(2024, 6, 1, tzinfo=timezone.utc),
        spec=json.loads(json.dumps(declared)),
        params=params,
    )
    return StageContext(request, inputs, outputs)
