"""What counts by edges tell: a percentile, and how far two distributions lie apart."""

import math
from collections.abc import Sequence

from understudy.contract.serving import LATENCY_EDGES_MS


def p95_ms(counts: Sequence[int]) -> float | None:
    """Give the 95th percentile of answers counted by LATENCY_EDGES_MS, in milliseconds.

    :return: the last edge where it lies beyond; None where nothing usable was counted.
    """
    edges = LATENCY_EDGES_MS
    total = sum(counts)
    if len(counts) != len(edges) + 1 or min(counts) < 0 or total == 0:
        return None
    wanted, below = 0.95 * total, 0
    for index, (edge, count) in enumerate(zip(edges, counts, strict=False)):
        if count and below + count >= wanted:
            start = edges[index - 1] if index else 0.0
            return start + (edge - start) * (wanted - below) / count
        below += count
    return edges[-1]


def population_stability_index(usual: Sequence[int], other: Sequence[int]) -> float | None:
    """Say how far two histograms over the same edges lie apart: sum of (q - p) ln(q / p) over their shares.

    Siddiqi: Credit Risk Scorecards (2006), where 0.1 is a small shift and 0.25 a large one. Half a row is added to each
    bin that either has, because the index of an empty bin is infinite.

    :return: None where one of them is empty or they have different lengths.
    """
    if len(usual) != len(other) or not sum(usual) or not sum(other) or min((*usual, *other)) < 0:
        return None
    bins = [(a + 0.5, b + 0.5) for a, b in zip(usual, other, strict=True) if a or b]
    all_usual, all_other = sum(a for a, _ in bins), sum(b for _, b in bins)
    shares = [(a / all_usual, b / all_other) for a, b in bins]
    return sum((q - p) * math.log(q / p) for p, q in shares)
