"""Distances are Evidently's, to the last digit, and what reaches them is what a person would compare."""

import math
from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.words import DistanceMethod
from understudy.stages.drift.baseline import calibrate
from understudy.stages.drift.evidently_report import snapshot
from understudy.stages.drift.measure import measure_drift
from understudy.stages.drift.scale import scale_of
from understudy.stages.model.features import Features
from understudy.stages.sample import SAMPLE_ROWS, take_sample

FEATURES = Features(names=("size", "tail", "code", "colour", "city"), texts=("colour", "city"))
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def frame(rows: int, *, seed: int = 0, shift: float = 0.0, start: datetime = START) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "at": [start + timedelta(hours=hour) for hour in range(rows)],
            "size": draw.normal(size=rows) + shift,
            "tail": draw.pareto(1.5, rows),
            "code": draw.integers(0, 3, rows),
            "colour": draw.choice(["red", "green", "blue"], rows, p=[0.6, 0.3, 0.1]),
            "city": [f"c{n}" for n in draw.zipf(1.6, rows) % 300],
        }
    )


def test_every_distance_equals_evidentlys() -> None:
    reference, current = frame(3000), frame(1200, seed=1, shift=0.4)
    gaps = np.random.default_rng(2).uniform(size=current.height) < 0.2
    current = current.with_columns(
        pl.when(~pl.Series(gaps)).then(pl.col("size")), pl.when(~pl.Series(gaps)).then("city")
    )
    baseline = calibrate(reference, FEATURES, monitor=MonitorSpec(), importance={}, window_rows=1200)
    measurement = measure_drift(current, baseline)
    theirs = snapshot(baseline.own.sample, measurement.sample, baseline.columns, 0.3).dict()
    by_column = {
        metric["config"]["column"]: metric for metric in theirs["metrics"] if "ValueDrift" in metric["config"]["type"]
    }
    ours = {column.column: column for column in measurement.report.columns}
    assert by_column.keys() == ours.keys()
    assert {name: column.distance for name, column in ours.items()} == pytest.approx(
        {name: metric["value"] for name, metric in by_column.items()}, abs=1e-12
    )
    assert {name: column.threshold for name, column in ours.items()} == {
        name: metric["config"]["threshold"] for name, metric in by_column.items()
    }


def distance(before: list[object], now: list[object], *, is_text: bool = False) -> float | None:
    reference, current = pl.DataFrame({"x": before}, strict=False), pl.DataFrame({"x": now}, strict=False)
    scale = scale_of("x", reference, is_text=is_text)
    return scale.distance(scale.values(reference), scale.values(current))


NORMAL = np.random.default_rng(3).normal(size=2000)


def test_one_outlier_neither_raises_nor_hides_a_movement() -> None:
    plain = distance([*NORMAL], [*NORMAL[:500]])
    assert plain is not None
    assert distance([*NORMAL], [*NORMAL[:500], 1e9]) == pytest.approx(plain, abs=0.03)
    shifted = distance([*NORMAL, 1e9], [*(NORMAL[:500] + 1.5)])
    assert shifted is not None
    assert shifted > 1


def test_what_is_no_finite_number_is_missing() -> None:
    clean = distance([*NORMAL], [*NORMAL[:500]])
    dirty = [*NORMAL[:500], math.inf, -math.inf, math.nan, None]
    assert distance([*NORMAL], dirty) == pytest.approx(clean)


def test_a_constant_that_becomes_another_constant_has_moved_as_far_as_possible() -> None:
    assert distance([0.0] * 100, [0.0] * 100) == 0
    assert distance([0.0] * 100, [1.0] * 100) == pytest.approx(math.sqrt(math.log(2)))


def test_levels_are_equal_however_their_type_writes_them() -> None:
    assert distance(["1", "2"] * 50, [1, 2] * 50, is_text=True) == 0
    assert distance([1, 2] * 50, [1.0, 2.0] * 50, is_text=True) == 0
    assert distance([True, False] * 50, ["true", "False"] * 50) == 0


def test_many_levels_do_not_look_like_drift() -> None:
    draw = np.random.default_rng(4)
    levels = [f"l{n}" for n in draw.integers(0, 2000, 5000)]
    far = distance([*levels], [f"l{n}" for n in draw.integers(0, 2000, 500)], is_text=True)
    assert far is not None
    assert far < 0.2  # ungrouped, it is 0.6
    new = distance([*levels], ["never seen"] * 500, is_text=True)
    assert new is not None
    assert new < distance([*["a", "b"] * 500], ["never seen"] * 500, is_text=True)  # type: ignore[operator]


def test_too_few_values_have_no_distance() -> None:
    assert distance([*NORMAL], [1.0] * 29) is None
    assert distance([None] * 100, [*NORMAL]) is None
    assert scale_of("x", pl.DataFrame({"x": [None] * 9}), is_text=False).method is DistanceMethod.JENSEN_SHANNON


def test_a_sample_is_repeatable_even_and_out_of_step_with_days() -> None:
    rows = pl.LazyFrame({"hour": [hour % 24 for hour in range(300_000)]})
    sample = take_sample(rows, 300_000, seed=1)
    assert sample.equals(take_sample(rows, 300_000, seed=1))
    assert not sample.equals(take_sample(rows, 300_000, seed=2))
    assert sample.height == pytest.approx(SAMPLE_ROWS, rel=0.01)
    shares = sample["hour"].value_counts()["count"].to_numpy() / sample.height
    assert len(shares) == 24
    assert shares == pytest.approx(np.full(24, 1 / 24), rel=0.05)
