"""What the champion's own past says is usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.judges.drift import MIN_WINDOWS
from understudy.contract.monitoring import Calibration
from understudy.stages.drift.counts import Counted, count_reference
from understudy.stages.drift.domain import usual_domain_auc
from understudy.stages.drift.own_windows import WINDOW, OwnWindows, own_windows
from understudy.stages.drift.scale import Scale, scale_of
from understudy.stages.model.features import Features
from understudy.stages.window import Array

WIDENINGS = (1.0, 1.25, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Usual:
    """Hold how far one column usually moves."""

    scale: Scale
    threshold: float | None
    """None where the reference is too short to say."""
    source: str
    """Where the threshold comes from, in words."""
    null_threshold: float | None
    """By how much the share of missing values usually differs; None where the reference is too short to say."""
    sampled: Array
    """The reference sample's values, on the scale."""
    importance: float = 0.0


@dataclass(frozen=True)
class DriftBaseline:
    """Hold everything that a current window is compared with."""

    own: OwnWindows
    columns: tuple[Usual, ...]
    calibration: Calibration
    counted: Counted
    """What was counted over every row of the reference."""
    seed: int

    @cached_property
    def usual_auc(self) -> float | None:
        """How well a classifier tells the reference's own windows from the rest; measured when first asked for."""
        return usual_domain_auc(self.own, [known.scale for known in self.columns if known.importance > 0], self.seed)


def calibrate(
    reference: pl.DataFrame | pl.LazyFrame,
    features: Features,
    *,
    monitor: MonitorSpec,
    importance: Mapping[str, float],
    window_rows: int,
    time: str | None = None,
    seed: int = 0,
) -> DriftBaseline:
    """Learn from a reference how far its own windows lie from the rest of it, column by column and in all.

    Each window is held against thresholds from the *other* windows, so that the false alarms that are counted are
    honest. Where they are too many, all thresholds are widened by a common factor of up to 3; whether they are then
    few enough is judged later.

    :param importance: by feature; equal where nothing is above zero.
    :param window_rows: rows of the current window.
    :param time: the column that dates rows; windows are then as long as ``monitor.window``, else ``window_rows`` rows.
    """
    known = set(reference.lazy().collect_schema().names())
    names = [name for name in features.names if name in known]
    own = own_windows(reference.lazy(), names, time=time, length=monitor.window, window_rows=window_rows, seed=seed)
    scales = [scale_of(name, own.sample, is_text=name in features.texts) for name in names]
    weights = _weights(names, importance)
    distances, nulls = own_distances(own, scales)
    widening, shares = _widen(distances, weights, monitor)
    return DriftBaseline(
        own=own,
        columns=tuple(
            usual(
                scale,
                own,
                distances[:, place],
                nulls[:, place],
                least=monitor.min_distance,
                widening=widening,
                importance=float(weights[place]),
            )
            for place, scale in enumerate(scales)
        ),
        calibration=Calibration(length=own.length, widening=widening, shares=tuple(float(s) for s in shares)),
        counted=count_reference(reference.lazy(), scales),
        seed=seed,
    )


def own_distances(own: OwnWindows, scales: Sequence[Scale]) -> tuple[Array, Array]:
    """Measure each window against the rest of the reference, one line a window.

    The first table holds distances, NaN where there are too few values; the second by how much the shares of missing
    values differ.
    """
    numbers, windows = own.numbers, own.windows[WINDOW].to_numpy()
    outside = own.sample[WINDOW].fill_null(-1).to_numpy()
    distances, nulls = np.full((2, len(numbers), len(scales)), np.nan)
    for place, scale in enumerate(scales):
        sampled, of_windows = scale.all_values(own.sample), scale.all_values(own.windows)
        for line, number in enumerate(numbers):
            here, elsewhere = of_windows[windows == number], sampled[outside != number]
            known, others = here[np.isfinite(here)], elsewhere[np.isfinite(elsewhere)]
            distance = scale.distance(others, known)
            distances[line, place] = np.nan if distance is None else distance
            if len(elsewhere):
                nulls[line, place] = abs(len(known) / len(here) - len(others) / len(elsewhere))
    return distances, nulls


def usual(
    scale: Scale,
    own: OwnWindows,
    distances: Array,
    nulls: Array,
    *,
    least: float,
    widening: float = 1.0,
    importance: float = 0.0,
) -> Usual:
    """State a column's thresholds and where they come from."""
    sampled = scale.values(own.sample)
    gaps = nulls[np.isfinite(nulls)]
    null_threshold = max(least, widening * float(gaps.max())) if len(gaps) >= MIN_WINDOWS else None
    known = distances[np.isfinite(distances)]
    if len(known) < MIN_WINDOWS:
        why = f"the reference has {len(known)} usable windows of {own.length}, {MIN_WINDOWS} are needed"
        return Usual(scale, None, why, null_threshold, sampled, importance)
    worst = float(known.max())
    widened = f", times {widening:g}" if widening > 1 else ""
    source = f"the largest of {len(known)} windows of {own.length} of the reference ({worst:.3g}){widened}"
    if widening * worst < least:
        source = f"the smallest distance that counts; {source} lies below"
    return Usual(scale, max(least, widening * worst), source, null_threshold, sampled, importance)


def _widen(distances: Array, weights: Array, monitor: MonitorSpec) -> tuple[float, Array]:
    """Find the smallest widening with few enough false alarms, and each window's share of moved importance under it."""
    tries = [(factor, _moved_shares(distances, weights, monitor.min_distance, factor)) for factor in WIDENINGS]
    for factor, shares in tries:
        if len(shares) and float((shares >= monitor.drift_share).mean()) <= monitor.max_false_alarms:
            return factor, shares
    return tries[-1]


def _moved_shares(distances: Array, weights: Array, least: float, widening: float) -> Array:
    filled = np.where(np.isfinite(distances), distances, 0.0)
    others = [np.delete(filled, line, axis=0).max(axis=0, initial=0.0) for line in range(len(filled))]
    moved = filled >= np.maximum(least, widening * np.array(others).reshape(filled.shape))
    shares: Array = moved @ weights
    return shares


def _weights(names: Sequence[str], importance: Mapping[str, float]) -> Array:
    raw = np.array([importance.get(name, 0.0) for name in names], dtype=np.float64)
    raw = np.where(np.isfinite(raw), np.maximum(raw, 0.0), 0.0)
    if raw.sum() <= 0:
        raw = np.ones(len(names))
    weights: Array = raw / max(raw.sum(), 1e-300)
    return weights
