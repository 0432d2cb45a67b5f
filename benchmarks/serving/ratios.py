"""Compare two contestants that took turns: the median of the ratios of each round, and how sure it is."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

CONFIDENCE = 0.9


class Ratio(NamedTuple):
    """Hold the median over the rounds, and an interval for it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write it as a goal shows it."""
        return f"{self.median:.2f} x ({self.low:.2f} to {self.high:.2f})"


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Divide round by round, so that what slows a whole round down slows both.

    The interval are two order statistics, whatever the distribution: of the narrowest pair that covers the median in
    :data:`CONFIDENCE` of all cases, or of the outermost where the rounds are too few for that (below five).
    """
    ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    count, inner = len(ratios), 0
    while 2 * (inner + 1) < count and _coverage(count, inner + 1) >= CONFIDENCE:
        inner += 1
    return Ratio(statistics.median(ratios), ratios[inner], ratios[count - 1 - inner])


def _coverage(count: int, inner: int) -> float:
    """Say how likely the median lies between the order statistics ``inner`` from both ends."""
    below = sum(math.comb(count, k) for k in range(inner + 1))
    return float(1 - 2 * below / 2**count)
