"""The pipelines of stages/model/pipeline.py behind a face that takes typed rows instead of frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.words import MlTask
from understudy.gateway.scoring.encode import make_encode
from understudy.gateway.scoring.rows import Rows

if TYPE_CHECKING:
    from understudy.gateway.scoring.encode import Encode
    from understudy.stages.model.features import Features

    Array = np.ndarray[Any, Any]

FORESTS = {"RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"}


class FastModel:
    """Answer typed rows as the pipeline it was made from answers their frame.

    What it promises is tested before it is used (see predictor.py), on every load.
    """

    def __init__(self, encode: Encode, estimator: Any) -> None:
        self._encode, self._estimator = encode, estimator
        self._add_up = _adding_up(estimator) if type(estimator).__name__ in FORESTS else None
        if hasattr(estimator, "classes_"):
            self.classes_ = estimator.classes_
            self.predict_proba = self._predict_proba

    def predict(self, rows: Rows) -> Array:
        """Give a class or a number for each row."""
        encoded = self._encode(rows)
        if self._add_up is not None and not hasattr(self, "classes_"):
            return self._add_up(encoded)[:, 0]
        return np.asarray(self._estimator.predict(encoded))

    def _predict_proba(self, rows: Rows) -> Array:
        encoded = self._encode(rows)
        return self._add_up(encoded) if self._add_up else np.asarray(self._estimator.predict_proba(encoded))


@lru_cache(maxsize=2)
def built_in(task: MlTask) -> frozenset[type]:
    """Give the built-in estimators for a task. Of each classifier among them, the answer is the likeliest class."""
    paths = [e.path.split(":") for e in estimators_for(task).values()]
    return frozenset(getattr(import_module(module), name) for module, name in paths)


def pipeline_estimator(model: Any) -> Any:
    """Give the estimator of a pipeline that stages/model/pipeline.py built; None for any other model."""
    from sklearn.pipeline import Pipeline

    if type(model) is not Pipeline or [name for name, _ in model.steps] != ["encoding", "estimator"]:
        return None
    return model.steps[-1][1]


def make_fast_model(model: Any, features: Features) -> FastModel | None:
    """Take the column names out of a pipeline; None where that is not known to be possible."""
    estimator = pipeline_estimator(model)
    if type(estimator) not in built_in(MlTask.BINARY) | built_in(MlTask.REGRESSION):
        return None
    encode = make_encode(model.steps[0][1], features)
    return None if encode is None else FastModel(encode, estimator)


def _adding_up(forest: Any) -> Callable[[Array], Array]:
    """Add up a forest's trees without a thread pool and a check of the input for each tree."""
    trees = [tree.tree_ for tree in forest.estimators_]

    def add_up(values: Array) -> Array:
        single = np.ascontiguousarray(values, dtype=np.float32)
        total = trees[0].predict(single).astype(np.float64)
        for tree in trees[1:]:
            total += tree.predict(single)
        total /= len(trees)
        return np.asarray(total)

    return add_up
