"""What a challenger is worth in an A/B test: by which numbers, of how many rows, and on which side of which bound."""

from typing import Any

import pytest

from tests.unit.contract.live.canary_reports import DAY, START, report_of
from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.judgement import GateResult
from understudy.contract.judges.value import judge_harm, judge_value
from understudy.contract.live.canary_report import ArmLosses, CanaryBlock, CanaryReport
from understudy.contract.words import Verdict

AB = CanarySpec.model_validate({"mode": "ab", "min_requests": 100})
DAYS = 30


def side(worth: float, rows: int = 50, **changes: Any) -> ArmLosses:
    """Give one side of a block whose rows are worth as much as they lose less."""
    return ArmLosses(**{"rows": rows, "loss": (9 - worth) * rows, "value": worth * rows, **changes})


def block(day: int, canary: ArmLosses, baseline: ArmLosses) -> CanaryBlock:
    return CanaryBlock(start=START + day * DAY, canary=canary, baseline=baseline)


def report(canary: ArmLosses, baseline: ArmLosses, *more: CanaryBlock, days: int = DAYS, **told: Any) -> CanaryReport:
    """Give a report of days that are all alike."""
    blocks = (*(block(day, canary, baseline) for day in range(days)), *more)
    return report_of(blocks=days, **{"is_valued": True, **told}).model_copy(update={"blocks": blocks})


def gates(**changes: Any) -> CanarySpec:
    return AB.model_copy(update=changes)


def value(told: CanaryReport, spec: CanarySpec = AB) -> GateResult:
    return judge_value(told, spec, is_over=True)


def test_without_a_declared_value_less_loss_per_row_is_what_counts() -> None:
    better = report(ArmLosses(rows=40, loss=40 * 0.5), ArmLosses(rows=50, loss=50 * 0.7), is_valued=False)
    found = value(better, gates(min_gain=0.1))
    assert found.verdict is Verdict.PASSED
    assert found.measured == pytest.approx(0.2)
    assert found.what == "less loss per row"
    worse = report(ArmLosses(rows=40, loss=40 * 0.7), ArmLosses(rows=50, loss=50 * 0.5), is_valued=False)
    assert value(worse).verdict is Verdict.FAILED
    assert [one.verdict for one in judge_harm(worse, AB)] == [Verdict.FAILED]


def test_a_declared_value_decides_whatever_is_lost() -> None:
    told = report(side(2.0, loss=500.0), side(1.0, loss=5.0))
    found = value(told, gates(min_gain=0.5))
    assert found.verdict is Verdict.PASSED
    assert found.measured == pytest.approx(1.0)
    assert found.what == "more value per row"
    assert judge_harm(told, AB) == []


@pytest.mark.parametrize(("usual", "verdict"), [(2.0, Verdict.PASSED), (-2.0, Verdict.PASSED), (0.5, Verdict.FAILED)])
def test_the_margin_is_a_share_of_what_the_champion_is_worth(usual: float, verdict: Verdict) -> None:
    told = report(side(usual - 0.08), side(usual))
    assert value(told).verdict is verdict
    assert [one.verdict for one in judge_harm(told, AB)] == ([verdict] if verdict is Verdict.FAILED else [])


def test_a_twin_is_not_worse_and_not_better_either() -> None:
    worthless = report(side(0.0), side(0.0))
    assert value(worthless).verdict is Verdict.PASSED, "a tie keeps any margin"
    assert judge_harm(worthless, AB) == []
    assert value(worthless, gates(min_gain=0.0)).verdict is Verdict.INCONCLUSIVE, "and proves no gain"
    at_the_bound = report(side(1.5), side(1.0))
    assert value(at_the_bound, gates(min_gain=0.5)).verdict is Verdict.INCONCLUSIVE


def test_what_was_asked_for_is_told_as_it_was_declared() -> None:
    told = report(side(1.0), side(1.0))
    assert value(told).bound == "provably not more than 5.0% worse at the horizon"
    assert value(told, gates(min_gain=0.1)).bound == "provably more than 0.1 per row better at the horizon"


@pytest.mark.parametrize(("canary", "baseline"), [(9, 50), (50, 9)])
def test_a_side_with_few_labelled_rows_decides_nothing(canary: int, baseline: int) -> None:
    told = report(side(0.0, canary), side(1.0, baseline))
    found = value(told)
    assert (found.verdict, "270 labelled rows of each side in 30" in found.sentence) == (Verdict.INCONCLUSIVE, True)
    assert judge_harm(told, AB) == []
    assert value(report(side(0.0, canary + 1), side(1.0, baseline + 1))).verdict is Verdict.FAILED


def test_as_many_labelled_rows_are_needed_as_were_asked_for() -> None:
    told = report(side(0.0), side(1.0))
    assert value(told, gates(min_labels=1500)).verdict is Verdict.FAILED
    assert value(told, gates(min_labels=1501)).verdict is Verdict.INCONCLUSIVE
    assert judge_harm(told, gates(min_labels=1501)) == []


@pytest.mark.parametrize(("days", "verdict"), [(4, Verdict.INCONCLUSIVE), (5, Verdict.PASSED)])
def test_five_blocks_are_enough(days: int, verdict: Verdict) -> None:
    assert value(report(side(1.0), side(1.0), days=days)).verdict is verdict


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(block(0, side(0.0, rows=0), side(1000.0)), id="no row of the canary"),
        pytest.param(block(0, side(1000.0), side(0.0, rows=0)), id="no row of the baseline"),
        pytest.param(block(DAYS, side(-1000.0), side(1.0)), id="a block that has not ended"),
    ],
)
def test_a_block_that_only_one_side_has_or_that_has_not_ended_says_nothing(extra: CanaryBlock) -> None:
    found = value(report(side(1.0), side(1.0), extra))
    assert (found.verdict, found.measured) == (Verdict.PASSED, 0.0)


@pytest.mark.parametrize("is_valued", [True, False])
@pytest.mark.parametrize("is_the_canary_s", [True, False])
def test_one_loss_that_is_none_spoils_the_comparison(is_valued: bool, is_the_canary_s: bool) -> None:
    sides = side(1.0, loss=-1.0), side(1.0)
    spoiled = block(0, *(sides if is_the_canary_s else sides[::-1]))
    told = report(side(1.0), side(1.0), spoiled, is_valued=is_valued)
    found = value(told)
    assert (found.verdict, "no usable number" in found.sentence) == (Verdict.INCONCLUSIVE, True)
    assert judge_harm(told, AB) == []


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(report(side(1e307, 10, loss=0.0), side(1e307, 10, loss=0.0)), id="their sum is none"),
        pytest.param(
            report(side(1.0), side(1.0), *(block(0, side(-1e300, loss=0.0), side(1.0)),)), id="their spread is none"
        ),
    ],
)
def test_numbers_at_the_end_of_what_a_float_holds_are_no_answer(told: CanaryReport) -> None:
    found = value(told)
    assert (found.verdict, "no usable number" in found.sentence) == (Verdict.INCONCLUSIVE, True)
    assert judge_harm(told, AB) == []
