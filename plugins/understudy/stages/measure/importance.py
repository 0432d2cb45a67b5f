"""Which features earn their place: how much the primary metric loses when one is shuffled (Breiman 2001)."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.metrics import METRICS
from understudy.contract.reports import FeatureImportance
from understudy.stages.measure.answers import Answers, all_classes, answers_of
from understudy.stages.measure.metrics import measure
from understudy.stages.measure.value import with_values
from understudy.stages.model.scorer import Scorer
from understudy.stages.window import Array, Window

log = logging.getLogger(__name__)
REPEATS = 5
MAX_ROWS = 5_000
ROWS_AT_ONCE = 25_000
Copy = tuple[str, Array]
MAX_FEATURES = 300  # each costs five predictions over all rows


def feature_importance(
    scorer: Scorer,
    window: Window,
    spec: ModelSpec,
    code: Path | None,
    *,
    repeats: int = REPEATS,
    max_rows: int = MAX_ROWS,
) -> tuple[FeatureImportance, ...]:
    """Shuffle each feature ``repeats`` times on rows that the model has not seen; most important first."""
    if len(scorer.features) > MAX_FEATURES:
        log.warning(
            "importance is not measured: %d features, at most %d are shuffled", len(scorer.features), MAX_FEATURES
        )
        return ()
    draw = np.random.default_rng(spec.train.seed)
    window = window.take(np.sort(draw.permutation(len(window))[:max_rows]))
    typed, classes = scorer.typed(window.frame), all_classes(window, [scorer])
    sign = 1.0 if METRICS[spec.primary].greater_is_better else -1.0

    def quality_of(answers: Answers) -> float:
        value = measure(spec.primary, with_values(answers, spec, code))
        return float("nan") if value is None else sign * value

    whole = quality_of(answers_of(scorer, typed, window.labels, classes, metric=spec.primary))
    copies = [(name, draw.permutation(len(typed))) for name in typed.columns for _ in range(repeats)]
    shuffled: list[float] = []
    for batch in _batches(copies, len(typed)):
        # One frame for many copies: a pipeline's fixed cost for each call would be most of the time.
        together = pd.concat([typed.assign(**{name: typed[name].to_numpy()[order]}) for name, order in batch])
        answers = answers_of(scorer, together, np.tile(window.labels, len(batch)), classes, metric=spec.primary)
        shuffled += [quality_of(answers.take(rows)) for rows in np.split(np.arange(len(together)), len(batch))]
    losses = whole - np.array(shuffled).reshape(-1, repeats)
    found = [_importance(name, lost) for name, lost in zip(typed.columns, losses, strict=True)]
    return tuple(sorted(found, key=lambda i: (-(i.mean if i.mean is not None else -np.inf), i.feature)))


def _batches(copies: list[Copy], rows: int) -> Iterator[list[Copy]]:
    size = max(1, ROWS_AT_ONCE // max(rows, 1))
    for start in range(0, len(copies), size):
        yield copies[start : start + size]


def _importance(name: str, losses: Array) -> FeatureImportance:
    if not np.isfinite(losses).all():
        return FeatureImportance(feature=name, mean=None, std=None)
    return FeatureImportance(feature=name, mean=float(losses.mean()), std=float(losses.std(ddof=1)))


def unused_features(importance: tuple[FeatureImportance, ...]) -> tuple[str, ...]:
    """Name the features whose importance does not lie above zero by two standard deviations."""
    return tuple(i.feature for i in importance if i.mean is not None and i.std is not None and i.mean - 2 * i.std <= 0)
