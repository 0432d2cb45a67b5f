"""Blocks are long enough to hold what is alike, and many enough to average over."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.words import MlTask
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import random_blocks, time_blocks
from understudy.stages.measure.slices import compare_slices


def hourly(hours: int, every: str = "1h") -> "pd.Series[pd.Timestamp]":
    return pd.Series(pd.date_range("2024-01-01", periods=hours, freq=every, tz="UTC"))


@pytest.mark.parametrize(
    ("times", "length"),
    [
        (hourly(24 * 7 * 30), timedelta(weeks=1)),
        (hourly(24 * 40), timedelta(days=1)),
        (hourly(24 * 10), timedelta(hours=6)),
        (hourly(30), timedelta(hours=1)),
        (hourly(365 * 30, "1D"), timedelta(weeks=8)),
    ],
)
def test_the_longest_length_that_gives_twenty_blocks_is_taken(
    times: "pd.Series[pd.Timestamp]", length: timedelta
) -> None:
    blocks = time_blocks(times, None)
    assert blocks.length == length
    assert 20 <= blocks.count <= 201
    assert blocks.sizes.min() > 0
    assert blocks.sizes.sum() == len(times)


def test_a_declared_length_is_kept_however_few_blocks_it_gives() -> None:
    assert time_blocks(hourly(240), timedelta(days=5)).count == 3


def test_rows_of_one_instant_make_one_block() -> None:
    assert time_blocks(hourly(1).repeat(500), None).count == 1


def test_undated_rows_are_dealt_evenly_and_repeatably() -> None:
    blocks = random_blocks(1003, seed=3)
    assert (blocks.count, set(blocks.sizes.tolist())) == (50, {20, 21})
    np.testing.assert_array_equal(blocks.ids, random_blocks(1003, seed=3).ids)
    assert not np.array_equal(blocks.ids, random_blocks(1003, seed=4).ids)
    assert random_blocks(7, seed=0).count == 7


def spec(**changes: object) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "owner": "o",
            "task": "binary_classification",
            "data": {"source": "a.csv", "target": "y", "time": "t"},
            "evaluate": {"slices": ["part"]},
            "gates": [{"metric": "roc_auc"}],
            **changes,
        }
    )


def answers(seed: int, actual: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Answers:
    score = np.random.default_rng(seed).uniform(size=len(actual))
    scores = np.column_stack([1 - score, score])
    return Answers(MlTask.BINARY, ("n", "y"), actual, (score > 0.5).astype(int), scores)


def test_a_slice_that_lies_within_a_few_long_blocks_is_cut_finer() -> None:
    times = hourly(24 * 7 * 25)
    frame = pd.DataFrame({"part": np.where(np.arange(len(times)) < 24 * 30, "january", "later")})
    actual = np.random.default_rng(0).integers(0, 2, len(times))
    blocks = time_blocks(times, None)
    january, later = compare_slices(frame, answers(1, actual), answers(2, actual), blocks, spec())
    assert january.comparison.blocks == 30
    assert later.comparison.blocks == 22
    assert january.p_harm is not None


def test_a_declared_length_is_kept_within_slices_too() -> None:
    times = hourly(24 * 7 * 25)
    frame = pd.DataFrame({"part": np.where(np.arange(len(times)) < 24 * 30, "january", "later")})
    actual = np.random.default_rng(0).integers(0, 2, len(times))
    blocks = time_blocks(times, timedelta(weeks=1))
    january, _ = compare_slices(frame, answers(1, actual), answers(2, actual), blocks, spec())
    assert january.judged
    assert january.p_harm is None


def test_a_slice_of_one_class_asks_nothing_of_the_area_under_the_curve() -> None:
    times = hourly(2000)
    actual = np.r_[np.zeros(1000, int), np.random.default_rng(0).integers(0, 2, 1000)]
    frame = pd.DataFrame({"part": np.where(np.arange(2000) < 1000, "quiet", "busy")})
    found = compare_slices(frame, answers(1, actual), answers(2, actual), time_blocks(times, None), spec())
    assert {s.value: s.judged for s in found} == {"busy": True, "quiet": False}
