"""Whether requests carry the values that the source has for the same time."""

from __future__ import annotations

import numpy as np
import polars as pl

from understudy.contract.monitoring import ColumnDrift
from understudy.stages.drift.baseline import DriftBaseline, Usual
from understudy.stages.drift.scale import Scale
from understudy.stages.window import Array

SPLITS = 20


def measure_skew(
    source: pl.DataFrame, requests: pl.DataFrame, baseline: DriftBaseline, least: float
) -> tuple[ColumnDrift, ...]:
    """Compare samples of the same time column by column; what is usual comes from dealing both out at random."""
    draw = np.random.default_rng(baseline.seed)
    found = []
    for known in baseline.columns:
        name = known.scale.column
        if name in source.columns and name in requests.columns:
            found.append(_column(known, source, requests, least, draw))
    return tuple(found)


def _column(
    known: Usual, source: pl.DataFrame, requests: pl.DataFrame, least: float, draw: np.random.Generator
) -> ColumnDrift:
    scale = known.scale
    before, now = scale.values(source), scale.values(requests)
    distance = scale.distance(before, now)
    by_chance = None if distance is None else _by_chance(scale, before, now, draw)
    return ColumnDrift(
        column=scale.column,
        method=scale.method,
        distance=distance,
        threshold=None if by_chance is None else max(least, by_chance),
        source=f"the largest of {SPLITS} random splits of both",
        importance=known.importance,
        null_share=1 - len(now) / requests.height if requests.height else None,
        reference_null_share=1 - len(before) / source.height if source.height else None,
        problem=None if distance is not None else f"column {scale.column!r} has too few values to be compared",
    )


def _by_chance(scale: Scale, one: Array, other: Array, draw: np.random.Generator) -> float:
    both = np.concatenate([one, other])
    distances = []
    for _ in range(SPLITS):
        dealt = draw.permutation(both)
        distances.append(scale.distance(dealt[: len(one)], dealt[len(one) :]) or 0.0)
    return max(distances)
