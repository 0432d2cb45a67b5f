"""How well a classifier tells two windows apart: what moves together although no single column does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from understudy.stages.drift.own_windows import OwnWindows
from understudy.stages.drift.scale import Scale
from understudy.stages.window import Array

FOLDS = 3
ROWS = 2_000  # of each side
USUAL_WINDOWS = 4
MIN_ROWS = 100  # of each side; below, the area's own error is above 0.04


def domain_auc(reference: pl.DataFrame, current: pl.DataFrame, scales: Sequence[Scale], seed: int) -> float | None:
    """Give the cross-validated area under the curve of a classifier that learns which window a row is from.

    0.5 where nobody could tell, 1 where anybody could; None with fewer than 100 rows on a side. Source: Lopez-Paz and
    Oquab 2017, Revisiting classifier two-sample tests.
    """
    if min(reference.height, current.height) < MIN_ROWS or not scales:
        return None
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    draw = np.random.default_rng(seed)
    size = min(ROWS, reference.height, current.height)
    sides = [_drawn(rows, size, scales, draw) for rows in (reference, current)]
    truth = np.repeat([0, 1], size)
    model = HistGradientBoostingClassifier(max_iter=30, early_stopping=False, random_state=seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    # Threads that wait for each other on a busy machine turn a second into minutes; one is enough for so few rows.
    with threadpool_limits(limits=1):
        told = cross_val_predict(model, np.concatenate(sides), truth, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(truth, told))


def usual_domain_auc(own: OwnWindows, scales: Sequence[Scale], seed: int) -> float | None:
    """Give the largest area between one of up to four of the reference's windows and the rest of it."""
    numbers = own.numbers
    if len(numbers) < USUAL_WINDOWS:
        return None
    chosen = [numbers[place] for place in np.linspace(0, len(numbers) - 1, USUAL_WINDOWS).astype(int)]
    found = [domain_auc(own.without(number), own.window(number), scales, seed) for number in chosen]
    known = [area for area in found if area is not None]
    return max(known) if len(known) == USUAL_WINDOWS else None


def _drawn(rows: pl.DataFrame, size: int, scales: Sequence[Scale], draw: np.random.Generator) -> Array:
    kept = rows[np.sort(draw.permutation(rows.height)[:size]).tolist()]
    return np.column_stack([scale.all_values(kept) for scale in scales])
