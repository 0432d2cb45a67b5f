"""The delete-one-block jackknife: how sure a difference is when neighbouring rows are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from understudy.contract.judges.challenger import MIN_BLOCKS
from understudy.stages.window import Array


@dataclass(frozen=True)
class Uncertainty:
    """Hold the standard error of an estimate and the degrees of freedom behind it."""

    standard_error: float
    degrees: int

    def interval(self, estimate: float, alpha: float) -> tuple[float, float]:
        """Give the two-sided interval at 1 - 2·alpha, so that each end is a one-sided bound at alpha."""
        from scipy.special import stdtrit

        half = float(stdtrit(self.degrees, 1 - alpha)) * self.standard_error
        return estimate - half, estimate + half

    def p_below(self, estimate: float, bound: float) -> float:
        """Give the one-sided p-value of "the truth is at least ``bound``", small where the estimate lies far below."""
        from scipy.special import stdtr

        if self.standard_error == 0:
            return 0.0 if estimate < bound else 1.0
        return float(stdtr(self.degrees, (estimate - bound) / self.standard_error))


def uncertainty(estimate: float, without: Array, sizes: Array) -> Uncertainty | None:
    """Estimate the standard error from the estimates that leave out one block each.

    Blocks may differ in size: the delete-m(j) jackknife of Busing, Meijer and van der Leeden (1999), Statistics and
    Computing 9, 3-8; equal sizes give the familiar formula. None with fewer than 8 blocks or where a value is missing.
    """
    count = len(sizes)
    if count < MIN_BLOCKS or not math.isfinite(estimate) or not np.isfinite(without).all():
        return None
    shares = sizes.sum() / sizes
    pseudo = shares * estimate - (shares - 1) * without
    combined = count * estimate - ((1 - 1 / shares) * without).sum()
    variance = float((((pseudo - combined) ** 2) / (shares - 1)).mean())
    return Uncertainty(math.sqrt(variance), count - 1)
