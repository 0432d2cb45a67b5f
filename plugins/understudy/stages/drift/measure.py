"""How far a current window lies from the reference."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from understudy.contract.monitoring import ColumnDrift, DriftReport
from understudy.contract.words import DistanceMethod
from understudy.stages.drift.baseline import DriftBaseline, Usual
from understudy.stages.drift.counts import Counted, count_rows
from understudy.stages.drift.domain import domain_auc
from understudy.stages.drift.scale import MIN_VALUES
from understudy.stages.read.column_kind import kind_of
from understudy.stages.sample import take_sample


@dataclass(frozen=True)
class DriftMeasurement:
    """Hold the report and the sampled rows that it rests on."""

    report: DriftReport
    sample: pl.DataFrame


def measure_drift(
    current: pl.DataFrame | pl.LazyFrame,
    baseline: DriftBaseline,
    *,
    reference_data: str = "",
    is_multivariate: bool = False,
) -> DriftMeasurement:
    """Compare a current window with the reference that a baseline was calibrated on.

    Rows, missing values and new levels are counted over everything; distances come from samples of 20,000 rows.

    :param is_multivariate: also train a classifier to tell the windows apart, which costs a second or more.
    """
    rows, before = current.lazy(), baseline.counted
    schema = rows.collect_schema()
    scales = [known.scale for known in baseline.columns if known.scale.column in schema]
    present = [scale.column for scale in scales]
    now = count_rows(rows, scales, before)
    sample = take_sample(rows.select(present), now.rows, seed=baseline.seed)
    measured = tuple(_column(known, sample, before, now) for known in baseline.columns)
    # Gaps are a matter for whoever sends the data; the classifier would take them for drift.
    whole = {column.column for column in measured if column.is_measured and not column.has_gaps}
    useful = [known.scale for known in baseline.columns if known.importance > 0]
    is_whole = is_multivariate and all(scale.column in whole for scale in useful)
    report = DriftReport(
        reference_data=reference_data,
        reference_rows=baseline.own.rows,
        current_rows=now.rows,
        sampled_reference_rows=baseline.own.sample.height,
        sampled_current_rows=sample.height,
        columns=measured,
        domain_auc=domain_auc(baseline.own.sample, sample, useful, baseline.seed) if is_whole else None,
        domain_auc_usual=baseline.usual_auc if is_whole else None,
        calibration=baseline.calibration,
    )
    return DriftMeasurement(report, sample)


def measure_column(known: Usual, sample: pl.DataFrame) -> float | None:
    """Measure the distance of one column of a sample from the reference."""
    return known.scale.distance(known.sampled, known.scale.values(sample))


def _column(known: Usual, sample: pl.DataFrame, before: Counted, now: Counted) -> ColumnDrift:
    column = known.scale.column
    distance = measure_column(known, sample) if column in sample.columns else None
    return ColumnDrift(
        column=column,
        method=known.scale.method,
        distance=distance,
        threshold=known.threshold,
        source=known.source,
        importance=known.importance,
        null_share=now.null_shares.get(column),
        reference_null_share=before.null_shares.get(column),
        null_threshold=known.null_threshold,
        new_level_share=now.new_level_shares.get(column),
        problem=None if distance is not None else _why_not(known, sample, now),
    )


def _why_not(known: Usual, sample: pl.DataFrame, now: Counted) -> str:
    column = known.scale.column
    if column not in sample.columns:
        return f"column {column!r} is missing"
    if not len(known.sampled):
        return f"column {column!r} has no value in the reference"
    if not now.rows:
        return "the window holds no rows"
    there = len(known.scale.values(sample))
    if not there and sample[column].null_count() < sample.height and known.scale.method is DistanceMethod.WASSERSTEIN:
        return f"column {column!r} was a number and holds {kind_of(sample.schema[column])} values now"
    if not there:
        return f"column {column!r} is empty"
    return f"column {column!r} has {there} values; {MIN_VALUES} are needed"
