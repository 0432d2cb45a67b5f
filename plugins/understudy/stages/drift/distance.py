"""How far two samples lie apart, exactly as Evidently computes it, without its frame."""

from __future__ import annotations

import numpy as np

from understudy.stages.window import Array

SMALLEST_SPREAD = 0.001


def wasserstein(reference: Array, current: Array) -> float:
    """Give the first Wasserstein distance in standard deviations of the reference.

    It is what one sample's values have to move, on average, to become the other's. Evidently calls it ``wasserstein``;
    the spread is never taken for less than 0.001.
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(reference, current)) / max(float(np.std(reference)), SMALLEST_SPREAD)


def jensen_shannon(reference: Array, current: Array) -> float:
    """Give the root of the Jensen-Shannon divergence in nats of two samples of level numbers, 0 to 0.83.

    Source: Endres and Schindelin 2003, IEEE Trans. Inf. Theory 49, 1858-1860. Evidently calls it ``jensenshannon``.
    """
    from scipy.spatial.distance import jensenshannon

    levels = int(max(reference.max(), current.max())) + 1
    counts = [np.bincount(sample.astype(np.int64), minlength=levels) for sample in (reference, current)]
    return float(jensenshannon(*counts, base=None))
