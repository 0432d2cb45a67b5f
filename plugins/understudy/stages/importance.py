"""Which features earn their place: how much the primary metric loses when one is shuffled (Breiman 2001)."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.contract.metrics import METRICS
from understudy.contract.reports import FeatureImportance
from understudy.contract.spec import ModelSpec
from understudy.stages.answers import all_classes, answers_of
from understudy.stages.metrics import measure
from understudy.stages.scorer import Scorer
from understudy.stages.value import with_values
from understudy.stages.window import Array, Window

log = logging.getLogger(__name__)
REPEATS = 5
MAX_ROWS = 5_000
MAX_FEATURES = 300  # each costs five predictions over all rows


def feature_importance(
    scorer: Scorer, window: Window, spec: ModelSpec, code: Path | None
) -> tuple[FeatureImportance, ...]:
    """Shuffle each feature five times on rows that the model has not seen; most important first."""
    if len(scorer.features) > MAX_FEATURES:
        log.warning(
            "importance is not measured: %d features, at most %d are shuffled", len(scorer.features), MAX_FEATURES
        )
        return ()
    draw = np.random.default_rng(spec.train.seed)
    window = window.take(np.sort(draw.permutation(len(window))[:MAX_ROWS]))
    typed, classes = scorer.typed(window.frame), all_classes(window, [scorer])
    sign = 1.0 if METRICS[spec.primary].greater_is_better else -1.0

    def quality(frame: pd.DataFrame) -> float:
        answers = with_values(answers_of(scorer, frame, window.labels, classes), spec, code)
        value = measure(spec.primary, answers)
        return float("nan") if value is None else sign * value

    whole = quality(typed)
    found = [_importance(name, whole - _shuffled(typed, name, quality, draw)) for name in typed.columns]
    return tuple(sorted(found, key=lambda i: (-(i.mean if i.mean is not None else -np.inf), i.feature)))


def _shuffled(
    typed: pd.DataFrame, name: str, quality: Callable[[pd.DataFrame], float], draw: np.random.Generator
) -> Array:
    results = []
    for _ in range(REPEATS):
        order = draw.permutation(len(typed))
        results.append(quality(typed.assign(**{name: typed[name].to_numpy()[order]})))
    return np.array(results)


def _importance(name: str, losses: Array) -> FeatureImportance:
    if not np.isfinite(losses).all():
        return FeatureImportance(feature=name, mean=None, std=None)
    return FeatureImportance(feature=name, mean=float(losses.mean()), std=float(losses.std(ddof=1)))


def unused_features(importance: tuple[FeatureImportance, ...]) -> tuple[str, ...]:
    """Name the features whose importance does not lie above zero by two standard deviations."""
    return tuple(i.feature for i in importance if i.mean is not None and i.std is not None and i.mean - 2 * i.std <= 0)
