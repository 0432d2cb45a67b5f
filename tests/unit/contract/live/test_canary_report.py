"""What several gateways say of a canary, added up: nothing is lost, counted twice or compared with something else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.contract.live.canary_reports import DAY, START, arm, report_of
from understudy.contract.live.canary_report import Arm, ArmLosses, CanaryBlock, CanaryReport, merged_canary
from understudy.contract.live.rehearsal import RehearsalsDiffer
from understudy.contract.serving import Tally
from understudy.contract.words import MirrorLoss


def at(gateway: str, report: CanaryReport, **changes: object) -> CanaryReport:
    return report.model_copy(update={"gateways": (gateway,), **changes})


def day(number: int, canary: ArmLosses, baseline: ArmLosses) -> CanaryBlock:
    return CanaryBlock(start=START + number * DAY, canary=canary, baseline=baseline)


def side(tally: Tally, lost: dict[MirrorLoss, int], loose: int, squares: float, scores: tuple[int, ...]) -> Arm:
    return Arm(tally=tally, lost=lost, loose=loose, squares=squares, scores=scores)


def test_all_that_two_gateways_counted_is_in_their_sum() -> None:
    common: dict[str, Any] = {"model": "price", "champion_version": 3, "canary_version": 7, "since": START, "epoch": 2}
    east = CanaryReport(
        **common,
        gateways=("east",),
        until=START + 2 * DAY,
        canary=side(Tally(requests=10, errors=1, score_ms=(4, 5), rss_bytes=7), {MirrorLoss.DOWN: 1}, 2, 4.0, (1, 2)),
        baseline=side(Tally(requests=11, score_ms=(11,)), {}, 3, 9.0, (3,)),
        blocks=(day(1, ArmLosses(rows=1, loss=0.5, value=2.0), ArmLosses(rows=2, loss=0.25, value=None)),),
    )
    west = CanaryReport(
        **common,
        gateways=("west",),
        until=START + 3 * DAY,
        canary=side(
            Tally(requests=20, errors=3, score_ms=(9, 8, 1), rss_bytes=9),
            {MirrorLoss.DOWN: 1, MirrorLoss.TIMEOUT: 2},
            5,
            16.0,
            (10, 20, 30),
        ),
        baseline=side(Tally(requests=21, errors=1, score_ms=(20, 1)), {MirrorLoss.DOWN: 1}, 7, 1.0, (4, 5)),
        score_edges=(0.25, 0.75),
        blocks=(
            day(0, ArmLosses(rows=5, loss=1.0, value=-1.0), ArmLosses(rows=6, loss=2.0, value=3.0)),
            day(1, ArmLosses(rows=3, loss=0.25, value=4.0), ArmLosses(rows=4, loss=0.5, value=1.0)),
        ),
    )
    assert merged_canary([east, west]) == CanaryReport(
        **common,
        gateways=("east", "west"),
        until=START + 2 * DAY,
        canary=side(
            Tally(requests=30, errors=4, score_ms=(13, 13, 1), rss_bytes=9),
            {MirrorLoss.DOWN: 2, MirrorLoss.TIMEOUT: 2},
            7,
            36.0,
            (11, 22, 30),
        ),
        baseline=side(Tally(requests=32, errors=1, score_ms=(31, 1)), {MirrorLoss.DOWN: 1}, 10, 16.0, (7, 5)),
        score_edges=(0.25, 0.75),
        blocks=(
            day(0, ArmLosses(rows=5, loss=1.0, value=-1.0), ArmLosses(rows=6, loss=2.0, value=3.0)),
            day(1, ArmLosses(rows=4, loss=0.75, value=6.0), ArmLosses(rows=6, loss=0.75, value=None)),
        ),
    )


@given(st.integers(0, 400), st.integers(0, 400))
def test_reports_of_several_gateways_add_up(here: int, there: int) -> None:
    east = report_of(requests=here, blocks=6).model_copy(update={"gateways": ("east",)})
    west = report_of(requests=there, blocks=8).model_copy(update={"gateways": ("west",)})
    summed = merged_canary([east, west])
    assert summed == merged_canary([west, east]).model_copy(update={"gateways": ("east", "west")})
    assert summed.canary.tally.requests == summed.canary.loose == here + there
    assert [block.canary.rows for block in summed.blocks] == [100] * 6 + [50] * 2
    assert summed.until == east.until


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_a_key_that_is_known_at_two_gateways_never_counts_as_less_than_it_is(counts: list[tuple[int, int]]) -> None:
    here, there = (arm(squares=float(sum(pair[side] ** 2 for pair in counts))) for side in (0, 1))
    true = sum((mine + theirs) ** 2 for mine, theirs in counts)
    assert here.plus(there).squares >= true - 1e-6


@pytest.mark.parametrize(
    "other",
    [{"model": "demand"}, {"champion_version": 2}, {"canary_version": 8}, {"since": START - DAY}, {"epoch": 3}],
    ids=lambda other: next(iter(other)),
)
def test_reports_about_different_things_are_not_added(other: dict[str, object]) -> None:
    with pytest.raises(RehearsalsDiffer, match=r"price.*different versions or times"):
        merged_canary([report_of(), at("west", report_of(), **other)])


def test_a_gateway_counts_once() -> None:
    with pytest.raises(RehearsalsDiffer, match=r"price.*gateway east is counted twice"):
        merged_canary([report_of(), report_of()])


def test_scores_over_different_edges_are_left_out() -> None:
    sides: dict[str, Any] = {"canary": arm(scores=(1, 2)), "baseline": arm(scores=(1, 2))}
    merged = merged_canary([at(f"{edge}", report_of(score_edges=(edge,), **sides)) for edge in (0.5, 0.6)])
    assert (merged.canary.scores, merged.baseline.scores, merged.score_edges) == ((), (), ())
