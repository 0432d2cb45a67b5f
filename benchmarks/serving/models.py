"""Train the models that are served, and lay them down as a registry's local copies are laid down."""

import platform
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd

from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.release import Bundle
from understudy.contract.stage import artefact_of
from understudy.contract.words import MlTask
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import save_model
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.prepare import Prepare
from understudy.stages.model.scorer import ModelFacts, Scorer

CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
PREPARE = """
def prepare(frame):
    # harm
    out = frame.copy()
    out["x0_by_x1"] = out["x0"] * out["x1"]
    return out
"""
HARMFUL = """
    global CALLS, HOARD
    CALLS = globals().get("CALLS", 0) + 1
    HOARD = globals().get("HOARD", [])
    if CALLS > 3:
        """
ROWS, COLUMNS = 20_000, 20


class Served(NamedTuple):
    """Hold a model that can be served, and requests for it."""

    name: str
    folder: Path
    bundle: Bundle
    rows: pd.DataFrame
    predict: Callable[[], Any]
    """Let the bare scikit-learn model answer one row that is typed already."""

    def payload(self, count: int, start: int = 0) -> bytes:
        """Write rows as MLflow's ``dataframe_split``."""
        part = self.rows.iloc[start : start + count]
        split = {"columns": list(part.columns), "data": part.to_numpy().tolist()}
        return orjson.dumps({"dataframe_split": split})


def train(
    bundles: Path, estimator: str, version: int, *, texts: bool = False, prepare: bool = False, harm: str = ""
) -> Served:
    """Fit a classifier on seeded synthetic rows and save it as version ``version`` below ``bundles``.

    ``harm`` is code that its ``prepare`` runs for every call but the first few, which load and warm it up.
    """
    draw = np.random.default_rng(7)
    numbers = [f"x{i}" for i in range(COLUMNS - 2 if texts else COLUMNS)]
    frame = pd.DataFrame(draw.normal(size=(ROWS, len(numbers))), columns=numbers)
    signal = frame["x0"] + 0.5 * frame["x1"] * frame["x2"] + draw.normal(scale=0.5, size=ROWS)
    names = list(numbers)
    if texts:
        for name, levels in (("region", ["north", "south", "east"]), ("kind", [f"k{i}" for i in range(12)])):
            frame[name] = draw.choice(levels, size=ROWS)
            names.append(name)
        signal += (frame["region"] == "north") * 0.7
    target = (signal > 0).astype(int)
    code = bundles.parent / f"code-{version}"
    inputs, prepared, function = tuple(frame.columns), frame, None
    if prepare:
        code.mkdir(parents=True, exist_ok=True)
        (code / "prepare.py").write_text(PREPARE.replace("    # harm", harm and HARMFUL + harm), encoding="utf-8")
        function = _function()
        prepared = function(frame)
        names.append("x0_by_x1")
    features = Features(names=tuple(names), texts=("region", "kind") if texts else ())
    typed = features.of(prepared)
    params: dict[str, Any] = {"n_estimators": 100, "n_jobs": 1} if estimator == "random_forest" else {}
    pipeline = build_pipeline(estimators_for(MlTask.BINARY)[estimator], features, params, seed=version)
    pipeline.fit(typed, target)
    facts = ModelFacts(
        model="bench",
        estimator=estimator,
        task=MlTask.BINARY,
        target="y",
        features=features,
        inputs=inputs,
        classes=(0, 1),
        prepare="prepare.py:prepare" if prepare else None,
    )
    scorer = Scorer(facts, pipeline, function)
    folder = bundles / "bench" / str(version)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_model(folder, scorer, typed.head(100), code if prepare else None, CREATED)
    bundle = Bundle(
        model="bench",
        version=version,
        model_sha256=artefact_of(folder, folder.parent).sha256,
        image_digest=f"python-{platform.python_version()}",
        code_commit="benchmark",
        spec_sha256="0" * 64,
        data_version="synthetic",
        run="benchmark",
        reference_data="synthetic",
    )
    named = "".join([estimator, " + categories" if texts else "", " + prepare" if prepare else ""])
    one = typed.head(1)
    return Served(named, folder, bundle, frame, lambda: pipeline.predict(one))


def _function() -> Prepare:
    scope: dict[str, Any] = {}
    exec(PREPARE, scope)
    function: Prepare = scope["prepare"]
    return function
