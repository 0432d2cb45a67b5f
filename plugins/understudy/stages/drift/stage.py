"""Live data beside what the champion was trained on. Measures only; whether it is drift is judged elsewhere."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.context import Refused, StageContext, StageOutput, stage

if TYPE_CHECKING:
    import polars as pl

    from understudy.contract.monitoring import ColumnDrift
    from understudy.stages.drift.baseline import DriftBaseline
    from understudy.stages.look import Look

log = logging.getLogger(__name__)
PREPARED_ROWS = 200_000
"""A model with a prepare function sees prepared rows, so evenly taken ones are prepared before they are compared."""


@stage
def run(context: StageContext) -> StageOutput:
    """Measure how far the current window lies from the reference window of the champion's bundle.

    Needs ``current.parquet``, ``reference.parquet`` and ``champion``; takes ``training.json`` (for the importance of
    features) and ``source.parquet`` (the source's rows of the same time, for train/serve skew).

    ``params``: ``watched``, ``champion_version``, ``reference_data``. Live rows have the source's columns and those of
    ``LiveColumn``. Writes ``report``, a folder with report.html, evidently.html and report.json.
    """
    from understudy.stages.drift.baseline import calibrate
    from understudy.stages.drift.measure import measure_drift
    from understudy.stages.drift.skew import measure_skew
    from understudy.stages.drift.write import write_drift
    from understudy.stages.live_checks import check_live
    from understudy.stages.look import Look
    from understudy.stages.sample import take_sample

    look = Look(context, ModelSpec.model_validate(context.request.spec))
    seed = context.request.seed
    count = _count(look.rows.table)
    window_rows = max(count, look.monitor.min_rows)
    reference, time = _features(look, look.reference, look.spec.data.time)
    if not set(look.champion.features) & set(reference.collect_schema().names()):
        raise Refused("The champion's reference window has none of its features; restore the window it was trained on")
    current, _ = _features(look, look.rows.table, None)

    log.info("1 of 4: what is usual between the reference's own windows")
    baseline = calibrate(
        reference,
        look.champion.facts.features,
        monitor=look.monitor,
        importance=look.importance,
        window_rows=window_rows,
        time=time,
        seed=seed,
    )
    log.info("2 of 4: comparing %s current rows", f"{count:,}")
    measurement = measure_drift(current, baseline, reference_data=look.reference_data, is_multivariate=True)
    log.info("3 of 4: comparing answers, and checking live inputs")
    skew: tuple[ColumnDrift, ...] = ()
    if look.source is not None:
        source, _ = _features(look, look.source, None)
        paired = take_sample(source, _count(source), seed=seed)
        skew = measure_skew(paired, measurement.sample, baseline, look.monitor.min_distance)
    report = measurement.report.model_copy(
        update={
            "reference_rows": _count(look.reference),
            "current_rows": count,
            "prediction": _predictions(look, baseline, window_rows),
            "skew": skew,
            "invariants": (
                *look.rows.findings,
                *check_live(look.rows.table, look.champion.facts.inputs, look.spec),
            ),
        }
    )
    log.info("4 of 4: writing the report")
    folder = write_drift(
        context.outputs / "report", replace(measurement, report=report), baseline, look.spec, look.monitor.drift_share
    )
    return StageOutput(report, {"report": folder})


def _count(rows: pl.LazyFrame) -> int:
    import polars as pl

    return int(rows.select(pl.len()).collect(engine="streaming").item())


def _features(look: Look, rows: pl.LazyFrame, time: str | None) -> tuple[pl.LazyFrame, str | None]:
    """Give rows as the champion's features, and the column that dates them."""
    import polars as pl

    from understudy.stages.sample import take_sample

    champion = look.champion
    if champion.prepare is None:
        return rows, time
    absent = set(champion.facts.inputs) - set(rows.collect_schema().names())
    if absent:
        return rows.select(), None  # the checks say which; a prepare function cannot do without
    sample = take_sample(rows, _count(rows), seed=look.context.request.seed, limit=PREPARED_ROWS)
    prepared = pl.from_pandas(champion.typed(sample.to_pandas()))
    if time is not None:
        prepared = prepared.with_columns(sample[time])
    return prepared.lazy(), time


def _predictions(look: Look, baseline: DriftBaseline, window_rows: int) -> ColumnDrift | None:
    """Compare the champion's answers; None where it cannot answer, or was blessed on nothing that is left."""
    import polars as pl

    from understudy.stages.drift.predictions import SCORE, measure_predictions, scored
    from understudy.stages.model.features import FeatureMissing
    from understudy.stages.reference_rows import unseen_rows
    from understudy.stages.sample import SAMPLE_ROWS, take_sample

    champion, time = look.champion, look.spec.data.time
    unseen = unseen_rows(look.reference, champion.facts, look.spec, SAMPLE_ROWS)
    current = take_sample(look.rows.table, _count(look.rows.table), seed=baseline.seed)
    if unseen.is_empty() or current.is_empty():
        return None
    try:
        before, now = scored(champion, unseen), _answers(look, current)
    except FeatureMissing:
        return None
    if time is not None:
        before = before.with_columns(unseen[time])
    return measure_predictions(
        before.select(SCORE, *([time] if time else [])),
        now if now.schema[SCORE] != pl.String else now.cast({SCORE: pl.String}),
        monitor=look.monitor,
        window_rows=window_rows,
        time=time,
        seed=baseline.seed,
    )


def _answers(look: Look, rows: pl.DataFrame) -> pl.DataFrame:
    """Give what was answered, as far as it was logged in the form that answers are compared in; else ask again."""
    import polars as pl

    from understudy.contract.words import LiveColumn
    from understudy.stages.drift.predictions import SCORE, scored
    from understudy.stages.drift.scale import as_level, as_number

    column = LiveColumn.PROBABILITY.value if len(look.champion.classes) == 2 else LiveColumn.PREDICTION.value
    if column not in rows.columns:
        return scored(look.champion, rows)
    is_text = len(look.champion.classes) > 2
    read = as_level(column, rows.schema[column], is_text=True) if is_text else as_number(column, rows.schema[column])
    return rows.select(read.alias(SCORE)).cast({SCORE: pl.String if is_text else pl.Float64})
