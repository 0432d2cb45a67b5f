"""Whether the champion answers differently: its scores on live rows against those on rows it was not trained on."""

from __future__ import annotations

import numpy as np
import polars as pl

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.monitoring import ColumnDrift
from understudy.contract.words import DistanceMethod
from understudy.stages.drift.baseline import own_distances, usual
from understudy.stages.drift.measure import measure_column
from understudy.stages.drift.own_windows import own_windows
from understudy.stages.drift.scale import MIN_VALUES, scale_of
from understudy.stages.model.scorer import Scorer

SCORE = "answers"
NOISE = 3.0
"""Scores need a wider bound than columns: of 272 windows without a change, 33 moved by 0.1 and none by 0.3."""


def scored(scorer: Scorer, rows: pl.DataFrame) -> pl.DataFrame:
    """Let the champion answer rows: the probability of the second of two classes, else the class or the number."""
    typed = scorer.typed(rows.to_pandas())
    probabilities = scorer.probabilities(typed) if len(scorer.classes) == 2 else None
    answers = scorer.answer(typed) if probabilities is None else probabilities[:, 1]
    return pl.DataFrame(
        {SCORE: answers if scorer.classes == () or probabilities is not None else np.asarray(answers, dtype=str)}
    )


def measure_predictions(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    monitor: MonitorSpec,
    window_rows: int,
    time: str | None = None,
    seed: int = 0,
) -> ColumnDrift:
    """Compare the champion's answers, in the column ``answers``, with those on the reference.

    :param reference: answers to rows that the champion was not trained on: of its own training rows it is too sure.
    """
    is_text = reference.schema[SCORE] == pl.String
    own = own_windows(reference.lazy(), [SCORE], time=time, length=monitor.window, window_rows=window_rows, seed=seed)
    scale = scale_of(SCORE, own.sample, is_text=is_text)
    distances, nulls = own_distances(own, [scale])
    least = monitor.min_distance * (NOISE if scale.method is DistanceMethod.WASSERSTEIN else 1.0)
    known = usual(scale, own, distances[:, 0], nulls[:, 0], least=least)
    distance = measure_column(known, current)
    return ColumnDrift(
        column=SCORE,
        method=scale.method,
        distance=distance,
        threshold=known.threshold,
        source=known.source,
        problem=None if distance is not None else f"fewer than {MIN_VALUES} answers are known on one side",
    )
