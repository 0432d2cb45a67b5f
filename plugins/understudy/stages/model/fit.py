"""Fit a model as the spec declares it: a built-in estimator or the team's own trainer."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import JsonValue

from understudy.contract.declaration.estimators import Estimator, estimators_for
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.words import MlTask
from understudy.stages.context import Refused
from understudy.stages.model.features import Features, choose_features
from understudy.stages.model.load_code import load_function
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.prepare import Prepare, apply_prepare, input_columns, require_rowwise
from understudy.stages.model.scorer import ModelFacts, Scorer
from understudy.stages.model.storable import storage_of
from understudy.stages.window import Array, Window

log = logging.getLogger(__name__)
MEDIAN_METRICS = {"mae", "median_ae"}


@dataclass(frozen=True)
class TrainerContext:
    """Tell a team's trainer what it trains; ``time`` names the column that dates the rows, which is no feature."""

    seed: int
    target: str
    features: tuple[str, ...]
    task: MlTask
    time: str | None


@dataclass(frozen=True)
class Workbench:
    """Hold what every fit of one run shares: the declaration, the team's code and the chosen features."""

    spec: ModelSpec
    code: Path | None
    inputs: tuple[str, ...]
    features: Features
    prepare: Prepare | None

    def typed(self, window: Window) -> pd.DataFrame:
        """Prepare and type the features of a window."""
        return self.features.of(apply_prepare(self.prepare, window.frame, self.inputs))


def set_up(spec: ModelSpec, code: Path | None, learnable: Window) -> Workbench:
    """Load the team's code and choose the features from the rows that training may see.

    :raises Refused: where ``prepare`` cannot be used in serving, or no feature is left.
    """
    inputs = input_columns(learnable.frame, spec)
    prepare = None
    if spec.data.prepare is not None:
        prepare = load_function(team_code(code, spec.data.prepare, "data.prepare"), spec.data.prepare)
        require_rowwise(prepare, learnable.frame, inputs)
    features = choose_features(apply_prepare(prepare, learnable.frame, inputs), spec)
    used = inputs if prepare else features.names
    return Workbench(spec, code, used, features, prepare)


def team_code(code: Path | None, reference: str, field: str) -> Path:
    """Give the model's folder, or say that it was not handed over."""
    if code is None:
        raise Refused(
            f"{field} names {reference}, but the model's folder was not handed to this stage as the input 'code'", field
        )
    return code


def fit(bench: Workbench, params: dict[str, JsonValue], window: Window, estimator: str | None = None) -> Scorer:
    """Fit on every row of a window.

    :param estimator: a built-in one instead of what the spec declares, for the reference trainings.
    """
    spec = bench.spec
    typed = bench.typed(window)
    if estimator is None and spec.train.trainer is not None:
        model, name, is_linear = _train_by_team(bench, params, window, typed), spec.train.trainer, False
    else:
        built_in = estimators_for(spec.task)[estimator or spec.train.estimator]
        model, name, is_linear = (
            _train_built_in(bench, built_in, params, typed, window.labels),
            built_in.name,
            built_in.is_linear,
        )
    facts = ModelFacts(
        model=spec.model,
        estimator=name,
        task=spec.task,
        target=spec.data.target,
        features=bench.features,
        inputs=bench.inputs,
        classes=tuple(np.unique(window.labels).tolist()) if spec.task.is_classification else (),
        prepare=spec.data.prepare,
        is_linear=is_linear,
        train_end=window.last_time,
    )
    return Scorer(facts, model, bench.prepare)


def fit_reference(bench: Workbench, name: str, window: Window) -> Scorer:
    """Fit one of the simple models that a challenger must beat: ``dummy`` or ``linear``, on the same features."""
    spec = bench.spec
    if name == "linear":
        return fit(bench, {}, window, "logistic_regression" if spec.task.is_classification else "ridge")
    params: dict[str, JsonValue] = {}
    if spec.task is MlTask.REGRESSION and spec.primary in MEDIAN_METRICS:
        params["strategy"] = "median"  # the constant that this metric likes best
    return fit(bench, params, window, "dummy")


def _train_built_in(
    bench: Workbench, estimator: Estimator, params: dict[str, JsonValue], typed: pd.DataFrame, labels: Array
) -> Any:
    from sklearn.utils._param_validation import InvalidParameterError

    pipeline = build_pipeline(estimator, bench.features, params, bench.spec.train.seed, bench.spec.train.search)
    try:
        return pipeline.fit(typed, labels)
    except InvalidParameterError as wrong:
        named = next((p for p in params if f"'{p}'" in str(wrong)), None)
        field = "train.search" if named in bench.spec.train.search else "train.params"
        raise Refused(f"{field}: {wrong}", f"{field}.{named}" if named else field) from wrong


def _train_by_team(bench: Workbench, params: dict[str, JsonValue], window: Window, typed: pd.DataFrame) -> Any:
    spec = bench.spec
    reference = str(spec.train.trainer)
    train = load_function(team_code(bench.code, reference, "train.trainer"), reference)
    frame = typed.assign(**{spec.data.target: window.labels})
    if spec.data.time is not None and window.times is not None and spec.data.time not in frame:
        frame[spec.data.time] = window.times.array
    context = TrainerContext(spec.train.seed, spec.data.target, bench.features.names, spec.task, spec.data.time)
    given = (frame, dict(params), context)
    _require_arguments(train, given, reference)
    model = train(*given)
    if not callable(getattr(model, "predict", None)):
        raise Refused(
            f"{reference} returned a {type(model).__name__}, which has no predict method; return the fitted model",
            "train.trainer",
        )
    # Asked of the first fit, not of the last one: a search of hours would be lost.
    if not spec.train.allow_pickle:
        storage_of(model, reference, allow_pickle=False)
    return model


def _require_arguments(train: Callable[..., Any], given: tuple[Any, ...], reference: str) -> None:
    try:
        signature(train).bind(*given)
    except TypeError as unlike:
        raise Refused(
            f"{reference} is called as train(frame, params, context), and does not take that: {unlike}", "train.trainer"
        ) from unlike
