"""What lets a canary rise, what ends it, and that nothing that is missing ever passes."""

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.contract.live.canary_reports import AB, DAY, LABELS, START, arm, blocks_of, report_of, whole
from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.judges.canary import judge_ab, judge_step
from understudy.contract.live.canary_report import Arm, ArmLosses, CanaryBlock, CanaryReport
from understudy.contract.serving import Tally
from understudy.contract.words import MirrorLoss, Verdict

STEPS = CanarySpec(min_requests=100)


def answer(judgement: Judgement, gate: str) -> GateResult:
    return next(result for result in judgement.results if result.gate == gate)


def test_one_that_does_as_well_passes_each_step() -> None:
    for share in STEPS.steps:
        assert judge_step(report_of(), STEPS, share).verdict is Verdict.PASSED
    assert judge_step(whole(), LABELS, 0.5).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("worse", "gate", "told"),
    [
        ({"lost": 50}, "errors", "lost 50 of 500 requests (10.00%; down 50)"),
        ({"canary": arm(place=30)}, "latency", "times version 3's"),
        ({"canary": arm(rss=10**9)}, "memory", "uses 10 times version 3's memory"),
    ],
)
def test_one_that_does_worse_fails_at_once(worse: dict[str, Any], gate: str, told: str) -> None:
    judgement = judge_step(report_of(**worse), STEPS, 0.05)
    assert (judgement.verdict, answer(judgement, gate).verdict) == (Verdict.FAILED, Verdict.FAILED)
    assert told in answer(judgement, gate).sentence


def test_one_that_loses_more_on_labels_of_other_callers_fails_at_once() -> None:
    judgement = judge_step(whole(blocks=12, **{}).model_copy(update={"blocks": blocks_of(12, -0.5)}), LABELS, 0.05)
    assert answer(judgement, "quality").verdict is Verdict.FAILED
    assert judgement.verdict is Verdict.FAILED


def quality_of(blocks: Iterable[CanaryBlock], days: int = 30, **gates: Any) -> GateResult:
    """Judge the losses of a canary whose gateways have reported so many days."""
    report = whole(blocks=days).model_copy(update={"blocks": tuple(blocks)})
    return answer(judge_step(report, LABELS.model_copy(update=gates), 0.05), "quality")


def day(number: int, canary: tuple[int, float], baseline: tuple[int, float]) -> CanaryBlock:
    """Give a day on which each side had so many labelled rows and lost so much on each."""
    sides = (ArmLosses(rows=rows, loss=rows * loss) for rows, loss in (canary, baseline))
    return CanaryBlock(start=START + number * DAY, canary=next(sides), baseline=next(sides))


def test_losses_are_compared_per_row_however_many_rows_either_side_has() -> None:
    found = quality_of(day(number, (20, 0.4), (60, 0.5)) for number in range(30))
    assert found.verdict is Verdict.PASSED
    assert found.measured == pytest.approx(-0.1)


def test_only_finished_days_with_labels_of_both_sides_are_compared() -> None:
    days = blocks_of(5)
    assert quality_of(days, 5).verdict is Verdict.PASSED
    assert quality_of(days, 4).verdict is Verdict.INCONCLUSIVE, "the fifth has not ended"
    others = (day(0, (0, 0.0), (50, 9.0)), day(5, (50, 9.0), (50, 1.0)))
    assert quality_of((*days, *others), 5).measured == quality_of(days, 5).measured


@pytest.mark.parametrize("rows", [(10, 50), (50, 10)], ids=["few of the canary", "few of the baseline"])
def test_labelled_rows_count_on_the_side_that_has_fewer(rows: tuple[int, int]) -> None:
    days = [day(number, (rows[0], 0.5), (rows[1], 0.5)) for number in range(30)]
    assert quality_of(days, min_labels=300).verdict is Verdict.PASSED
    short = quality_of(days, min_labels=301)
    assert short.lack is not None
    assert (short.verdict, short.lack.so_far, short.lack.more) == (Verdict.INCONCLUSIVE, 300, 1)
    thin = [day(number, (rows[0] - 1, 0.5), (rows[1] - 1, 0.5)) for number in range(30)]
    assert quality_of(thin).verdict is Verdict.INCONCLUSIVE, "means of fewer than ten rows are too skewed"


@pytest.mark.parametrize(
    "spoiled",
    [
        pytest.param(day(0, (50, -0.1), (50, 0.5)), id="a loss below zero"),
        pytest.param(day(30, (50, 0.5), (50, math.nan)), id="no number, on a day that has not ended"),
        pytest.param(day(30, (-1, 0.5), (50, 0.5)), id="fewer rows than none"),
    ],
)
def test_one_loss_that_can_be_none_leaves_the_question_open(spoiled: CanaryBlock) -> None:
    assert quality_of((*blocks_of(30), spoiled)).verdict is Verdict.INCONCLUSIVE


def test_scores_that_shifted_fail() -> None:
    judgement = judge_step(whole(canary=arm(scores=(450, 50))), LABELS, 0.05)
    assert answer(judgement, "score_shift").verdict is Verdict.FAILED
    few = whole(canary=arm(810, scores=(450, 50)), baseline=arm(90, scores=(45, 45)))
    judgement = judge_step(few, LABELS, 0.9)
    assert answer(judgement, "score_shift").verdict is Verdict.INCONCLUSIVE, "both sides need requests"


def test_what_both_sides_fail_at_alike_lets_nothing_rise_and_ends_nothing() -> None:
    judgement = judge_step(report_of(canary=arm(lost=50), baseline=arm(lost=50)), STEPS, 0.05)
    assert (judgement.verdict, answer(judgement, "errors").verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)


def test_with_everybody_at_the_canary_errors_and_the_labels_so_far_decide() -> None:
    alone = whole(baseline=Arm())
    assert judge_step(alone, LABELS, 1.0).verdict is Verdict.PASSED
    assert {result.gate for result in judge_step(alone, LABELS, 1.0).results} == {"requests", "errors", "quality"}
    assert judge_step(alone, LABELS, 0.9).verdict is Verdict.INCONCLUSIVE
    assert judge_step(alone.model_copy(update={"canary": arm(lost=50)}), LABELS, 1.0).verdict is Verdict.FAILED


# A mismatch of the sides' sizes.


@pytest.mark.parametrize(
    ("mine", "theirs", "share", "verdict"),
    [
        (520, 480, 0.1, Verdict.PASSED),
        (600, 400, 0.1, Verdict.INCONCLUSIVE),
        (400, 600, 0.5, Verdict.INCONCLUSIVE),
        (900, 100, 0.9, Verdict.PASSED),
        (500, 500, 0.9, Verdict.INCONCLUSIVE),
    ],
)
def test_a_split_that_chance_does_not_explain_is_not_believed(
    mine: int, theirs: int, share: float, verdict: Verdict
) -> None:
    judgement = judge_step(report_of(canary=arm(mine), baseline=arm(theirs)), STEPS, share)
    split = answer(judgement, "assignment")
    assert split.verdict is verdict
    assert (judgement.verdict is Verdict.PASSED) == (verdict is Verdict.PASSED)
    told = "as chance has it" if verdict is Verdict.PASSED else "than chance explains: its numbers cannot be believed"
    assert told in split.sentence


def test_how_likely_a_split_is_by_chance_is_told() -> None:
    """Of 1,000 tosses of a coin, 20 more or fewer than 500 are heads with a probability of 0.206."""
    judgement = judge_step(report_of(canary=arm(520), baseline=arm(480)), STEPS, 0.1)
    assert answer(judgement, "assignment").measured == pytest.approx(0.206, abs=5e-4)


@pytest.mark.parametrize(("mine", "theirs"), [(0, 0), (500, -1), (-1, 500)])
def test_a_split_of_no_requests_or_of_impossible_counts_is_unknown(mine: int, theirs: int) -> None:
    told = report_of(canary=arm(mine, loose=500), baseline=arm(theirs, loose=500))
    split = answer(judge_step(told, STEPS, 0.1), "assignment")
    assert (split.verdict, "it is unknown" in split.sentence) == (Verdict.INCONCLUSIVE, True)


def test_of_few_callers_who_ask_often_a_larger_mismatch_is_chance() -> None:
    """All of a caller's requests are on one side: 30 callers with 20 requests against 20 such callers is nothing."""
    sides = [arm(count * 20, loose=0, squares=count * 400.0) for count in (30, 20)]
    judgement = judge_step(report_of(canary=sides[0], baseline=sides[1]), STEPS, 0.1)
    assert answer(judgement, "assignment").verdict is Verdict.PASSED
    alone = [arm(count * 20) for count in (30, 20)]
    judgement = judge_step(report_of(canary=alone[0], baseline=alone[1]), STEPS, 0.1)
    assert answer(judgement, "assignment").verdict is Verdict.INCONCLUSIVE


# A/B.


def test_an_ab_test_decides_nothing_before_its_horizon() -> None:
    assert judge_ab(whole(), AB, is_over=False).verdict is Verdict.INCONCLUSIVE
    assert judge_ab(whole(), AB, is_over=True).verdict is Verdict.PASSED


def test_before_its_horizon_harm_ends_it() -> None:
    harmed = whole().model_copy(update={"blocks": blocks_of(30, -0.5)})
    judgement = judge_ab(harmed, AB, is_over=False)
    assert answer(judgement, "harm").verdict is Verdict.FAILED
    assert judge_ab(report_of(lost=50), AB, is_over=False).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("gain", "min_gain", "verdict"),
    [
        (0.2, 0.1, Verdict.PASSED),
        (0.05, 0.1, Verdict.FAILED),
        (0.1, 0.1, Verdict.INCONCLUSIVE),
        (0.0, None, Verdict.PASSED),
        (-0.04, None, Verdict.PASSED),
        (-0.05, None, Verdict.INCONCLUSIVE),
    ],
)
def test_at_its_horizon_the_declared_rule_decides_by_the_interval(
    gain: float, min_gain: float | None, verdict: Verdict
) -> None:
    gates = AB.model_copy(update={"min_gain": min_gain})
    result = answer(judge_ab(whole().model_copy(update={"blocks": blocks_of(30, gain)}), gates, is_over=True), "value")
    assert result.verdict is verdict
    assert result.low is not None
    assert result.high is not None
    assert result.low < (result.measured or 0.0) < result.high


def test_a_declared_value_that_is_not_known_of_all_rows_is_not_replaced_by_the_loss() -> None:
    first, *rest = blocks_of(30, 0.2)
    unknown = first.model_copy(update={"canary": first.canary.model_copy(update={"value": None})})
    report = whole().model_copy(update={"blocks": (unknown, *rest)})
    assert answer(judge_ab(report, AB, is_over=True), "value").verdict is Verdict.INCONCLUSIVE
    by_loss = report.model_copy(update={"is_valued": False})
    assert "less loss per row" in answer(judge_ab(by_loss, AB, is_over=True), "value").sentence


# Nothing that is missing passes.

SPOILED: list[dict[str, Any]] = [
    {"canary": Arm()},
    {"baseline": Arm()},
    {"canary": arm(0, scores=(250, 250))},
    {"canary": arm(50, scores=(250, 250))},
    {"canary": arm(rss=None, scores=(250, 250))},
    {"baseline": arm(rss=None, scores=(250, 250))},
    {"baseline": arm(rss=0, scores=(250, 250))},
    {"canary": arm(loose=0, scores=(250, 250)), "baseline": arm(loose=0, scores=(250, 250))},
    {"canary": arm(loose=0, squares=math.nan, scores=(250, 250))},
    {"canary": arm(loose=0, squares=math.inf, scores=(250, 250))},
    {"canary": arm(), "baseline": arm()},
    {"score_edges": ()},
    {"blocks": ()},
    {"blocks": blocks_of(4)},
    {"until": START},
    {"canary": arm(scores=(250, 250)).model_copy(update={"tally": Tally(requests=500, rss_bytes=10**8)})},
]  # fmt: skip


@pytest.mark.parametrize("spoiled", SPOILED, ids=str)
def test_what_is_missing_never_passes(spoiled: dict[str, Any]) -> None:
    report = whole().model_copy(update=spoiled)
    assert judge_step(report, LABELS, 0.5).verdict is not Verdict.PASSED
    gates = AB.model_copy(update={"max_score_shift": 0.2})
    assert judge_ab(report, gates, is_over=True).verdict is not Verdict.PASSED


def test_no_report_never_passes() -> None:
    assert judge_step(None, STEPS, 1.0).verdict is Verdict.INCONCLUSIVE
    assert judge_ab(None, AB, is_over=True).verdict is Verdict.INCONCLUSIVE


numbers = st.floats(allow_nan=True, allow_infinity=True)
losses = st.builds(ArmLosses, rows=st.integers(-5, 200), loss=numbers, value=st.none() | numbers)
arms = st.builds(
    Arm,
    tally=st.builds(
        Tally,
        requests=st.integers(-10, 2000),
        errors=st.integers(-10, 2000),
        score_ms=st.lists(st.integers(-5, 500), max_size=50).map(tuple),
        rss_bytes=st.none() | st.integers(-10, 10**10),
    ),
    lost=st.dictionaries(st.sampled_from(MirrorLoss), st.integers(0, 10)),
    loose=st.integers(-10, 2000),
    squares=numbers,
    scores=st.lists(st.integers(-5, 500), max_size=4).map(tuple),
)
reports = st.builds(
    lambda canary, baseline, sides: report_of(
        canary=canary,
        baseline=baseline,
        blocks=30,
        is_valued=True,
    ).model_copy(
        update={
            "blocks": tuple(
                CanaryBlock(start=START + day * DAY, canary=mine, baseline=theirs)
                for day, (mine, theirs) in enumerate(sides)
            )
        }
    ),
    arms,
    arms,
    st.lists(st.tuples(losses, losses), max_size=12),
)


@given(reports, st.sampled_from([0.01, 0.5, 0.75, 1.0]))
def test_whatever_a_gateway_says_the_answer_is_no_crash_and_a_pass_has_its_evidence(
    report: CanaryReport, share: float
) -> None:
    for judgement in (judge_step(report, LABELS, share), judge_ab(report, AB, is_over=True)):
        if judgement.verdict is Verdict.PASSED:
            assert report.canary.tally.requests >= 100
            assert 0 <= report.canary.tally.errors <= 0.01 * report.canary.tally.requests
            finished = [block for block in report.blocks if min(block.canary.rows, block.baseline.rows) > 0]
            assert len(finished) >= 5
            assert all(math.isfinite(side.loss) for block in finished for side in (block.canary, block.baseline))


# The declaration.


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"steps": [0.1, 0.1]}, "must rise"),
        ({"steps": []}, "at least 1"),
        ({"steps": [0.0, 1.0]}, "greater than 0"),
        ({"steps": [0.51, 1.0]}, "at most 0.5"),
        ({"steps": [0.1, 1.1]}, "less than or equal to 1"),
        ({"horizon": "7d"}, "horizon does not apply to mode canary"),
        ({"mode": "ab", "steps": [0.1]}, "steps does not apply to mode ab"),
        ({"mode": "ab", "share": 0.51}, "less than or equal to 0.5"),
        ({"mode": "ab", "horizon": "3d"}, "horizon 3d holds fewer than 5 blocks"),
        ({"min_labels": 100}, "step_deadline 2d holds fewer than 5 blocks"),
        ({"hold": "3d"}, "hold is longer"),
    ],
)
def test_a_declaration_that_could_never_pass_is_refused(given_: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CanarySpec.model_validate(given_)


@pytest.mark.parametrize("given_", [{}, {"mode": "ab"}, {"steps": [0.2]}, {"mode": "ab", "min_gain": 0.1}])
def test_a_declaration_survives_being_written_out(given_: dict[str, Any]) -> None:
    spec = CanarySpec.model_validate(given_)
    assert CanarySpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("given_", [{"steps": [0.5, 1.0]}, {"hold": "2d", "step_deadline": "2d"}])
def test_a_declaration_that_can_just_pass_is_accepted(given_: dict[str, Any]) -> None:
    CanarySpec.model_validate(given_)


@pytest.mark.parametrize(
    ("given_", "shares", "longest"),
    [
        ({"steps": [0.1, 0.5, 1.0], "step_deadline": "1d"}, (0.1, 0.5, 1.0), 3 * DAY),
        ({"mode": "ab", "share": 0.2, "horizon": "9d"}, (0.2,), 9 * DAY),
    ],
)
def test_a_canary_has_its_steps_in_turn_and_an_ab_test_one_share(
    given_: dict[str, Any], shares: tuple[float, ...], longest: timedelta
) -> None:
    spec = CanarySpec.model_validate(given_)
    assert (spec.shares, spec.longest) == (shares, longest)


def test_out_of_sight_it_answers_a_look_longer_than_its_grace() -> None:
    assert CanarySpec.model_validate({"grace": "5m"}).lease == timedelta(minutes=6)
