"""Intervals that stay true however often one looks: asymptotic confidence sequences for a mean."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

from understudy.contract.declared import Fact

PLANNED = 30
"""The number of values at which the interval is tightest; a wrong guess costs a little width, never the coverage."""
MIN_VALUES = 5  # with fewer, the spread is a guess and looking early would pay
FAR = 1_000_000


class Interval(Fact):
    """Hold a mean with the bounds that hold at all looks together."""

    mean: float
    low: float
    high: float
    spread: float
    """The standard deviation of the values."""
    values: int


def confidence_sequence(values: Sequence[float], alpha: float, planned: int = PLANNED) -> Interval | None:
    """Bound the mean of the values seen so far, so that all bounds ever given hold together with 1 - alpha.

    Theorem 2.2 of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and asymptotic
    confidence sequences, arXiv 2103.06476 (2021), with the first-order Student correction of Cornish and Fisher for a
    spread that is estimated from few values. The values have to be (means over) independent stretches of time.

    :param alpha: the risk that any of the bounds, at any look, misses the mean.
    :param planned: at how many values the interval is to be tightest.
    :return: None where there are fewer than MIN_VALUES values or one of them is no finite number.
    """
    return _interval(values, lambda spread: half_width(len(values), spread, alpha, planned))


def fixed_interval(values: Sequence[float], alpha: float) -> Interval | None:
    """Bound the mean of values that are looked at once, at a time that was fixed before: one-sided 1 - alpha each way.

    Student's interval, by the first-order correction of Cornish and Fisher to the normal quantile.

    :return: None as in :func:`confidence_sequence`.
    """
    quantile = NormalDist().inv_cdf(1 - alpha)
    return _interval(values, lambda spread: spread * _student(quantile, len(values)) / math.sqrt(len(values)))


def _interval(values: Sequence[float], reach_of: Callable[[float], float]) -> Interval | None:
    if len(values) < MIN_VALUES:
        return None
    # Not the statistics module: numbers near the end of the floats' range have no interval, and are no crash either.
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) * (value - mean) for value in values) / (len(values) - 1))
    reach = reach_of(spread)
    # Nor has one value that is no finite number a finite spread.
    if not math.isfinite(reach):
        return None
    return Interval(mean=mean, low=mean - reach, high=mean + reach, spread=spread, values=len(values))


def half_width(values: int, spread: float, alpha: float, planned: int = PLANNED) -> float:
    """Give how far the bounds lie from the mean of so many values with such a spread."""
    boundary = math.sqrt(values) * _boundary(values, alpha, planned)
    return spread * _student(boundary, values) / math.sqrt(values)


def values_needed(interval: Interval, bound: float, alpha: float, planned: int = PLANNED) -> int | None:
    """Estimate how many more values decide on which side of the bound the mean lies, if mean and spread stay.

    :return: None where no number would do: the mean lies on the bound, or as good as.
    """
    distance = abs(bound - interval.mean)
    if half_width(FAR, interval.spread, alpha, planned) >= distance:
        return None
    few, many = interval.values, FAR
    while few < many:
        middle = (few + many) // 2
        if half_width(middle, interval.spread, alpha, planned) < distance:
            many = middle
        else:
            few = middle + 1
    return many - interval.values


def _student(quantile: float, values: int) -> float:
    """Widen a normal quantile for a spread that is estimated from so many values."""
    return quantile * (1 + (quantile**2 + 1) / (4 * (values - 1)))


def _boundary(values: int, alpha: float, planned: int) -> float:
    """Give the half-width for values of spread 1; rho is the paper's choice for a planned number of values."""
    rho_squared = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / planned
    scaled = values * rho_squared + 1
    return math.sqrt(2 * scaled / (values**2 * rho_squared) * math.log(math.sqrt(scaled) / alpha))
