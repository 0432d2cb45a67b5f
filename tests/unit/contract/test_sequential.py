"""Intervals that stay true however often one looks, shown by simulation beside a test that does not."""

import math
import random
from collections.abc import Callable
from statistics import NormalDist, fmean, stdev

import pytest

from understudy.contract.sequential import MIN_VALUES, confidence_sequence, fixed_interval, half_width, values_needed

ALPHA = 0.05
LOOKS = 120
STUDIES = 400


def false_alarms(draw: Callable[[], float], reach: Callable[[int, float], float]) -> float:
    """Count the studies of a mean of 0 in which any look finds 0 outside its interval."""
    alarms = 0
    for _ in range(STUDIES):
        total = squares = 0.0
        for seen in range(1, LOOKS + 1):
            value = draw()
            total, squares = total + value, squares + value * value
            mean = total / seen
            spread = math.sqrt(max(squares - seen * mean * mean, 0.0) / (seen - 1)) if seen > 1 else 0.0
            if seen >= MIN_VALUES and abs(mean) > reach(seen, spread):
                alarms += 1
                break
    return alarms / STUDIES


def naive(seen: int, spread: float) -> float:
    return NormalDist().inv_cdf(1 - ALPHA / 2) * spread / math.sqrt(seen)


def block_means_of(kind: str, rng: random.Random) -> Callable[[], float]:
    """Draw what a block of labels gives: means of some rows, from well-behaved to skewed."""
    draws: dict[str, Callable[[], float]] = {
        "normal": lambda: rng.gauss(0, 3),
        "skewed": lambda: rng.gammavariate(10, 1) - 10,
        "rare errors": lambda: sum(rng.random() < 0.1 for _ in range(20)) - 2.0,
    }
    return draws[kind]


@pytest.mark.parametrize("kind", ["normal", "skewed", "rare errors"])
def test_looking_after_every_block_raises_no_more_false_alarms_than_alpha(kind: str) -> None:
    share = false_alarms(block_means_of(kind, random.Random(7)), lambda n, spread: half_width(n, spread, ALPHA))
    # Three standard errors of the simulation itself: the seed is fixed, the bound is what was promised.
    assert share <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / STUDIES)


def test_a_usual_test_raises_many_when_one_looks_again_and_again() -> None:
    assert false_alarms(block_means_of("normal", random.Random(7)), naive) > 0.2


def test_a_real_difference_is_found() -> None:
    rng = random.Random(3)
    interval = confidence_sequence([rng.gauss(0.5, 1) for _ in range(200)], ALPHA)
    assert interval is not None
    assert 0 < interval.low < 0.5 < interval.high


def test_more_values_make_it_narrower() -> None:
    widths = [half_width(values, 1.0, ALPHA) for values in range(MIN_VALUES, 400)]
    assert widths == sorted(widths, reverse=True)
    assert half_width(30, 1.0, 0.01) > half_width(30, 1.0, 0.05)


def test_equal_values_leave_no_doubt() -> None:
    interval = confidence_sequence([0.0] * MIN_VALUES, ALPHA)
    assert interval is not None
    assert (interval.low, interval.mean, interval.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "values",
    [[], [1.0] * (MIN_VALUES - 1), [1.0] * 9 + [math.nan], [1.0] * 9 + [math.inf], [1e308, -1e308] * 5],
    ids=["none", "too few", "NaN", "infinity", "beyond the floats"],
)
def test_what_cannot_be_bounded_has_no_interval(values: list[float]) -> None:
    assert confidence_sequence(values, ALPHA) is None
    assert fixed_interval(values, ALPHA) is None


def test_at_the_planned_number_of_values_it_is_as_wide_as_the_paper_says() -> None:
    """By hand: rho² = (5.991 + ln 6.991) / 30, so 0.5541 for 30 values of spread 1; Student's correction is 1.0880."""
    assert half_width(30, 1.0, ALPHA) == pytest.approx(0.5541 * 1.0880, rel=2e-4)
    assert half_width(30, 1.0, ALPHA, planned=300) > half_width(30, 1.0, ALPHA, planned=30)
    assert half_width(300, 1.0, ALPHA, planned=300) < half_width(300, 1.0, ALPHA, planned=30)


def test_looked_at_once_it_is_student_s_interval() -> None:
    rng = random.Random(11)
    values = [rng.gauss(5, 2) for _ in range(30)]
    interval = fixed_interval(values, ALPHA)
    assert interval is not None
    assert interval.mean == pytest.approx(fmean(values))
    assert interval.spread == pytest.approx(stdev(values))
    # The 95% quantile of Student's distribution with 29 degrees of freedom, from any table.
    reach = 1.699 * stdev(values) / math.sqrt(30)
    assert interval.high - interval.mean == pytest.approx(reach, rel=2e-3)
    assert interval.mean - interval.low == pytest.approx(reach, rel=2e-3)


def test_it_says_how_many_more_would_decide() -> None:
    rng = random.Random(5)
    values = [rng.gauss(0.2, 1) for _ in range(20)]
    interval = confidence_sequence(values, ALPHA)
    assert interval is not None
    more = values_needed(interval, 0.0, ALPHA)
    assert more is not None
    distance = abs(interval.mean)
    assert half_width(20 + more, interval.spread, ALPHA) < distance <= half_width(19 + more, interval.spread, ALPHA)
    assert values_needed(interval, interval.mean, ALPHA) is None
