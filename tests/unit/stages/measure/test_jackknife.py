"""The interval is as wide as it must be: against theory where rows are independent, wider where they are not."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from understudy.contract.words import MlTask
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import Blocks, random_blocks
from understudy.stages.measure.compare import compare
from understudy.stages.measure.jackknife import uncertainty
from understudy.stages.measure.metrics import with_and_without

Array = np.ndarray[Any, Any]


def scored(actual: Array, score: Array) -> Answers:
    return Answers(MlTask.BINARY, ("n", "y"), actual, (score > 0.5).astype(int), np.column_stack([1 - score, score]))


def delong(actual: Array, one: Array, other: Array) -> tuple[float, float]:
    """Compute the difference of two AUCs and its standard error (DeLong et al. 1988, in Sun and Xu's ranks)."""
    placements = []
    for score in (one, other):
        pos, neg = score[actual == 1], score[actual == 0]
        ranks = rankdata(np.concatenate([pos, neg]))
        v10 = (ranks[: len(pos)] - rankdata(pos)) / len(neg)
        v01 = 1 - (ranks[len(pos) :] - rankdata(neg)) / len(pos)
        placements.append((v10, v01))
    (a10, a01), (b10, b01) = placements
    variance = np.var(a10 - b10, ddof=1) / len(a10) + np.var(a01 - b01, ddof=1) / len(a01)
    return float(a10.mean() - b10.mean()), math.sqrt(float(variance))


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
def test_a_challenger_s_own_value_has_an_interval_too(beside: bool) -> None:
    draw = np.random.default_rng(3)
    rows, alpha = 4000, 0.05
    right = draw.uniform(size=rows) < 0.8
    actual = draw.integers(0, 2, rows)
    answers = scored(actual, np.where(right, actual, 1 - actual).astype(float))
    found = compare("accuracy", answers, answers if beside else None, random_blocks(rows, 0), alpha).comparison
    share = float(right.mean())
    half = norm.ppf(1 - alpha) * math.sqrt(share * (1 - share) / rows)
    assert found.challenger == pytest.approx(share)
    assert found.challenger_low == pytest.approx(share - half, abs=half / 2)
    assert found.challenger_high == pytest.approx(share + half, abs=half / 2)


def test_too_few_blocks_give_a_value_without_an_interval() -> None:
    answers = scored(np.array([0, 1] * 5), np.array([0.1, 0.9] * 5))
    found = compare("accuracy", answers, None, Blocks(np.arange(10) % 5, 5), 0.05).comparison
    assert (found.challenger, found.challenger_low, found.challenger_high) == (1.0, None, None)


def test_on_independent_rows_the_interval_of_an_auc_gain_is_delongs() -> None:
    draw = np.random.default_rng(7)
    actual = draw.integers(0, 2, 4000)
    signal = norm.cdf(actual + draw.normal(size=4000))
    one, other = norm.cdf(signal + 0.3 * draw.normal(size=4000)), norm.cdf(signal + 0.6 * draw.normal(size=4000))
    gain, error = delong(actual, one, other)
    blocks = random_blocks(4000, seed=1)
    ours = compare("roc_auc", scored(actual, one), scored(actual, other), blocks, 0.05)
    assert ours.comparison.gain == pytest.approx(gain, abs=1e-12)
    assert ours.uncertainty is not None
    assert ours.uncertainty.standard_error == pytest.approx(error, rel=0.2)


def test_for_the_mean_of_equal_blocks_it_is_the_textbook_formula() -> None:
    draw = np.random.default_rng(0)
    losses = draw.normal(size=300)
    blocks = Blocks(np.arange(300) // 10, 30)
    answers = Answers(MlTask.REGRESSION, (), np.zeros(300), np.abs(losses))
    whole, without = with_and_without("mae", answers, blocks)
    found = uncertainty(whole, without, blocks.sizes)
    means = np.abs(losses).reshape(30, 10).mean(axis=1)
    assert found is not None
    assert found.standard_error == pytest.approx(means.std(ddof=1) / math.sqrt(30), rel=1e-9)
    assert found.degrees == 29


def shares_covered(blocks: Blocks, noise: Any, repetitions: int) -> float:
    """Count how often the interval of a true gain of zero holds zero."""
    covered = 0
    for seed in range(repetitions):
        one, other = noise(np.random.default_rng(seed)), noise(np.random.default_rng(10_000 + seed))
        rows = len(one)
        gain = compare(
            "mae",
            Answers(MlTask.REGRESSION, (), np.zeros(rows), 5 + one),
            Answers(MlTask.REGRESSION, (), np.zeros(rows), 5 + other),
            blocks,
            0.05,
        ).comparison
        assert gain.gain_low is not None
        assert gain.gain_high is not None
        covered += gain.gain_low <= 0 <= gain.gain_high
    return covered / repetitions


def unequal_blocks() -> Blocks:
    sizes = np.tile([5, 10, 30, 15], 6)
    return Blocks(np.repeat(np.arange(24), sizes), 24)


def test_nine_of_ten_intervals_hold_the_truth_with_unequal_blocks_and_independent_rows() -> None:
    assert shares_covered(unequal_blocks(), lambda draw: draw.normal(size=360), 400) == pytest.approx(0.90, abs=0.045)


def autocorrelated(draw: np.random.Generator) -> Array:
    noise, steps = np.empty(1200), draw.normal(size=1200)
    noise[0] = steps[0]
    for i in range(1, 1200):
        noise[i] = 0.8 * noise[i - 1] + steps[i]
    return noise / 2


def test_on_neighbours_that_are_alike_blocks_hold_the_truth_and_single_rows_do_not() -> None:
    in_blocks = shares_covered(Blocks(np.arange(1200) // 50, 24), autocorrelated, 200)
    in_rows = shares_covered(random_blocks(1200, seed=0), autocorrelated, 200)
    assert in_blocks > 0.82
    assert in_rows < 0.6


def test_too_few_blocks_give_no_interval() -> None:
    assert uncertainty(0.1, np.full(7, 0.1), np.full(7, 10)) is None


def test_a_value_that_cannot_be_said_without_some_block_gives_no_interval() -> None:
    without = np.full(20, 0.1)
    without[3] = np.nan
    assert uncertainty(0.1, without, np.full(20, 10)) is None


def test_equal_models_have_a_gain_of_exactly_zero() -> None:
    draw = np.random.default_rng(0)
    answers = scored(draw.integers(0, 2, 500), draw.uniform(size=500))
    found = compare("roc_auc", answers, answers, random_blocks(500, 0), 0.05).comparison
    assert (found.gain, found.gain_low, found.gain_high) == (0, 0, 0)


def test_a_metric_where_less_is_better_gains_by_becoming_less() -> None:
    truth = np.zeros(100)
    good, bad = Answers(MlTask.REGRESSION, (), truth, truth + 1), Answers(MlTask.REGRESSION, (), truth, truth + 3)
    assert compare("mae", good, bad, random_blocks(100, 0), 0.05).comparison.gain == 2
