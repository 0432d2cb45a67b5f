"""What counts by edges tell."""

import math

import pytest

from tests.unit.contract.live.rehearsal_reports import timed
from understudy.contract.live.histograms import p95_ms, population_stability_index
from understudy.contract.serving import LATENCY_EDGES_MS


def test_percentiles_lie_between_the_edges() -> None:
    took = p95_ms(timed(2.0, 100))
    assert took is not None
    assert 1.7 < took < 2.4
    assert p95_ms(timed(60_000, 100)) == LATENCY_EDGES_MS[-1]
    assert p95_ms(()) is None
    assert p95_ms(timed(2.0, 0)) is None


def test_the_stability_index_is_that_of_the_textbook() -> None:
    assert population_stability_index((100, 100), (100, 100)) == 0
    shifted = population_stability_index((5_000_000, 5_000_000), (4_000_000, 6_000_000))
    assert shifted == pytest.approx(0.1 * math.log(0.6 / 0.5) - 0.1 * math.log(0.4 / 0.5), rel=1e-4)
    assert population_stability_index((1, 2), (0, 0)) is None
    assert population_stability_index((1, 2), (1, 2, 3)) is None
