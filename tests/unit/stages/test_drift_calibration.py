"""What is usual comes from the reference's own windows, and the false alarms that are counted are honest."""

from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.judges.drift import MIN_WINDOWS, judge_columns
from understudy.contract.words import Verdict
from understudy.stages.drift.baseline import DriftBaseline, calibrate
from understudy.stages.drift.measure import measure_drift
from understudy.stages.model.features import Features

MONITOR = MonitorSpec()
NAMES = tuple("abcdefgh")
FEATURES = Features(names=NAMES)


def noise(rows: int, seed: int) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame({name: draw.standard_t(3, size=rows) for name in NAMES})


def usual(reference: pl.DataFrame, window_rows: int, **changes: object) -> DriftBaseline:
    given = {"monitor": MONITOR, "importance": {}, **changes}
    return calibrate(reference, FEATURES, window_rows=window_rows, **given)  # type: ignore[arg-type]


def verdict(current: pl.DataFrame, baseline: DriftBaseline) -> Verdict:
    return judge_columns(measure_drift(current, baseline).report, MONITOR).verdict


@pytest.mark.parametrize("rows", [300, 1000])
def test_windows_without_a_change_raise_next_to_no_alarm(rows: int) -> None:
    reference = noise(8000, seed=0)
    baseline = usual(reference, rows)
    alarms = sum(verdict(noise(rows, seed), baseline) is Verdict.FAILED for seed in range(1, 61))
    assert alarms <= 1


def test_a_real_shift_is_seen() -> None:
    reference = noise(8000, seed=0)
    moved = noise(500, seed=1).with_columns(pl.col(name) + 0.6 for name in NAMES[:3])
    assert verdict(moved, usual(reference, 500)) is Verdict.FAILED


def test_a_season_that_the_reference_knows_is_usual() -> None:
    hours = 24 * 364
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    at = [start + timedelta(hours=hour) for hour in range(hours)]
    draw = np.random.default_rng(0)
    warmth = 10 * np.sin(np.arange(hours) / hours * 4 * np.pi)
    reference = pl.DataFrame({"at": at, **{name: warmth + draw.normal(size=hours) for name in NAMES}})
    baseline = usual(reference, 336, time="at")
    assert baseline.calibration.windows == 40
    summer = pl.DataFrame({name: 10 + draw.normal(size=336) for name in NAMES})
    heatwave = summer.with_columns(pl.col(name) + 15 for name in NAMES)
    assert verdict(summer, baseline) is Verdict.PASSED
    assert verdict(heatwave, baseline) is Verdict.FAILED


def test_a_short_reference_is_cut_into_shorter_windows_and_a_tiny_one_says_nothing() -> None:
    assert usual(noise(2000, seed=0), 1000).calibration.windows == MIN_WINDOWS
    tiny = noise(100, seed=0)
    baseline = usual(tiny, 1000)
    assert baseline.calibration.windows == 0
    assert all(column.threshold is None for column in baseline.columns)
    assert verdict(noise(1000, seed=1).with_columns(pl.all() + 9), baseline) is Verdict.INCONCLUSIVE


def test_a_reference_that_leaps_by_itself_decides_nothing() -> None:
    leap = np.where(np.arange(8000) < 1000, 50.0, 0.0)
    reference = noise(8000, seed=0).with_columns(pl.col(name) + pl.Series(leap) for name in NAMES)
    baseline = usual(reference, 1000)
    assert baseline.calibration.alarms(MONITOR.drift_share) == 1
    assert verdict(noise(1000, seed=1) + 90, baseline) is Verdict.INCONCLUSIVE


def test_importance_decides_what_a_movement_is_worth() -> None:
    reference, moved = noise(8000, seed=0), noise(500, seed=1).with_columns(pl.col("a") + 2)
    vain = usual(reference, 500, importance={"a": 0.1, "b": 0.9})
    harmful = usual(reference, 500, importance={"a": 0.9, "b": 0.1, "c": -0.2, "d": float("nan")})
    assert verdict(moved, vain) is Verdict.PASSED
    assert verdict(moved, harmful) is Verdict.FAILED
    assert {usual.scale.column: usual.importance for usual in harmful.columns}["c"] == 0


def test_thresholds_say_where_they_come_from() -> None:
    sources = [column.source for column in usual(noise(8000, seed=0), 500).columns]
    assert all("windows of 500 rows of the reference" in source for source in sources)


def test_a_long_reference_gives_what_the_same_rows_give_lazily() -> None:
    reference = noise(60_000, seed=0)
    eager, lazy = usual(reference, 3000), usual(reference.lazy(), 3000)  # type: ignore[arg-type]
    assert eager.own.sample.equals(lazy.own.sample)
    assert [c.threshold for c in eager.columns] == [c.threshold for c in lazy.columns]
    assert eager.own.sample.height == pytest.approx(20_000, rel=0.01)
    assert eager.own.rows == 60_000
