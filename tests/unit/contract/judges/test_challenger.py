"""judge(): only usable numbers pass, and only when every question was answered."""

import math
from typing import Any

import pytest

from tests.unit.contract.judges.evaluation_reports import EVALUATE, UNUSABLE, comparison, first_model, report, slice_of
from understudy.contract.declaration.gates import Gate
from understudy.contract.declaration.train import EvaluateSpec
from understudy.contract.judges.challenger import judge
from understudy.contract.words import Verdict


def test_a_better_challenger_passes_with_every_answer_spelled_out() -> None:
    judgement = judge(
        report(), [Gate(metric="roc_auc", floor=0.75, min_gain=0.0), Gate(metric="size_mb", ceiling=10)], EVALUATE
    )
    assert judgement.verdict is Verdict.PASSED
    assert {r.gate for r in judgement.results} == {
        "no_leak",
        "roc_auc.floor",
        "roc_auc.gain",
        "size_mb.ceiling",
        "beats_dummy",
        "beats_linear",
    }
    assert not judgement.rubber_stamped


def test_first_model_is_judged_on_bounds_only_and_says_so() -> None:
    judgement = judge(first_model(), [Gate(metric="roc_auc", floor=0.75, min_gain=0.01)], EVALUATE)
    assert judgement.verdict is Verdict.PASSED
    assert judgement.rubber_stamped
    below = judge(first_model(), [Gate(metric="roc_auc", floor=0.9)], EVALUATE)
    assert below.verdict is Verdict.FAILED


def test_a_bound_on_a_metric_shows_the_metric_s_own_interval() -> None:
    alone = comparison(other=None, gain=None, gain_low=None, gain_high=None, challenger_low=0.83, challenger_high=0.87)
    first = report(champion_version=None, comparisons=(alone,))
    for gate in (Gate(metric="roc_auc", floor=0.75), Gate(metric="roc_auc")):
        told = next(r for r in judge(first, [gate], EVALUATE).results if r.gate.startswith("roc_auc"))
        assert (told.low, told.measured, told.high) == (0.83, 0.85, 0.87)


def test_what_has_no_interval_says_why() -> None:
    few = report(champion_version=None, comparisons=(comparison(blocks=7, challenger_low=None),))
    gates = [Gate(metric="roc_auc", floor=0.75), Gate(metric="size_mb", ceiling=10)]
    told = {r.gate: r.basis for r in judge(few, gates, EVALUATE).results if r.low is None}
    assert told == {
        "no_leak": "counted, not estimated",
        "roc_auc.floor": "7 blocks of time are too few for an interval",
        "size_mb.ceiling": "measured once",
    }


def test_no_gates_never_pass() -> None:
    assert judge(report(), [], EVALUATE).verdict is Verdict.INCONCLUSIVE


def test_a_tie_passes_a_refresh_and_fails_a_superiority_gate() -> None:
    tie = report(comparisons=(comparison(challenger=0.8, other=0.8, gain=0.0, gain_low=0.0, gain_high=0.0),))
    assert judge(tie, [Gate(metric="roc_auc")], EVALUATE).verdict is Verdict.PASSED
    assert judge(tie, [Gate(metric="roc_auc", margin=0.0)], EVALUATE).verdict is Verdict.PASSED
    assert judge(tie, [Gate(metric="roc_auc", min_gain=0.0)], EVALUATE).verdict is Verdict.FAILED


def test_a_refresh_may_not_lose_more_than_its_margin() -> None:
    within = report(comparisons=(comparison(challenger=0.799, gain=-0.001, gain_low=-0.006, gain_high=0.004),))
    beyond = report(comparisons=(comparison(challenger=0.799, gain=-0.001, gain_low=-0.012, gain_high=0.010),))
    assert judge(within, [Gate(metric="roc_auc", margin=0.01)], EVALUATE).verdict is Verdict.PASSED
    assert judge(beyond, [Gate(metric="roc_auc", margin=0.01)], EVALUATE).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("gate", "given", "verdict"),
    [
        (Gate(metric="roc_auc", floor=0.85), {}, Verdict.PASSED),
        (Gate(metric="log_loss", ceiling=0.4), {}, Verdict.PASSED),
        (Gate(metric="roc_auc", min_gain=0.03), {}, Verdict.FAILED),
        (Gate(metric="roc_auc", margin=0.5), {"other": 0.5, "gain": 0.0, "gain_low": -0.25}, Verdict.FAILED),
        (Gate(metric="roc_auc", margin=0.5), {"other": 0.5, "gain": 0.0, "gain_low": -0.24}, Verdict.PASSED),
        (Gate(metric="roc_auc", margin=0.0), {"gain": 0.0, "gain_low": 0.0, "gain_high": 0.1}, Verdict.FAILED),
    ],
    ids=[
        "the floor",
        "the ceiling",
        "the least gain",
        "the margin",
        "within it",
        "a loss that chance does not rule out",
    ],
)
def test_a_bound_may_be_reached_and_a_gain_has_to_be_beyond_its_own(
    gate: Gate, given: dict[str, Any], verdict: Verdict
) -> None:
    compared = (comparison(**given), comparison("log_loss", challenger=0.4, other=0.5))
    assert judge(report(comparisons=compared), [gate], EVALUATE).verdict is verdict


def test_the_margin_of_a_champion_below_zero_is_as_wide_as_of_one_above() -> None:
    near = comparison("r2", challenger=-0.5, other=-0.5, gain=0.0, gain_low=-0.04, gain_high=0.04)
    regression = report(task="regression", primary="r2", comparisons=(near,))
    assert judge(regression, [Gate(metric="r2", margin=0.1)], EVALUATE).verdict is Verdict.PASSED
    assert judge(regression, [Gate(metric="r2", margin=0.05)], EVALUATE).verdict is Verdict.FAILED


def test_a_gain_is_told_with_its_interval_and_a_floor_on_enough_blocks_needs_no_excuse() -> None:
    floor: dict[str, Any] = {"blocks": 8, "challenger_low": 0.8, "challenger_high": 0.9}
    results = judge(report(comparisons=(comparison(**floor),)), [Gate(metric="roc_auc", floor=0.5)], EVALUATE).results
    told = {r.gate: (r.measured, r.low, r.high, r.basis) for r in results}
    assert told["roc_auc.gain"] == (0.05, 0.03, 0.07, "")
    gain = next(r for r in results if r.gate == "roc_auc.gain")
    assert gain.sentence.startswith("roc_auc 0.85 against the champion's 0.8: gain 0.05 [0.03, 0.07], asked for")
    assert told["roc_auc.floor"] == (0.85, 0.8, 0.9, "")


def test_too_little_evidence_is_told_with_what_there_is() -> None:
    small = report(rows=99, comparisons=(comparison(rows=99, blocks=7),), references={})
    gates = [Gate(metric="roc_auc", min_rows=10), Gate(metric="size_mb", ceiling=10, min_rows=100)]
    few_rows = judge(small, [Gate(metric="roc_auc", min_rows=100)], EVALUATE).results
    told = {r.gate: (r.verdict, r.measured) for r in (*few_rows, *judge(small, gates, EVALUATE).results)}
    for gate, measured in (("roc_auc", 0.85), ("roc_auc.gain", 0.05), ("size_mb", 3.0)):
        assert told[gate] == (Verdict.INCONCLUSIVE, measured)


@pytest.mark.parametrize(
    ("rows", "verdict", "told"),
    [
        (0, Verdict.PASSED, "no holdout row was seen in training"),
        (1, Verdict.INCONCLUSIVE, "1 of 5,000 holdout rows were seen in training or lie in the embargo"),
    ],
)
def test_a_leak_decides_nothing(rows: int, verdict: Verdict, told: str) -> None:
    judgement = judge(report(leaked_rows=rows), [Gate(metric="roc_auc")], EVALUATE)
    leak = next(r for r in judgement.results if r.gate == "no_leak")
    assert (judgement.verdict, leak.verdict, leak.measured, leak.what) == (verdict, verdict, rows, "rows")
    assert leak.sentence.startswith(told)


def test_a_complex_model_that_is_not_better_than_the_simple_one_is_refused() -> None:
    as_good = report(references={"dummy": comparison(), "linear": comparison(gain=0.0, gain_low=-0.01)})
    judgement = judge(as_good, [Gate(metric="roc_auc")], EVALUATE)
    assert judgement.verdict is Verdict.FAILED
    assert "use it" in judgement.sentence
    assert (
        judge(as_good.model_copy(update={"is_linear": True}), [Gate(metric="roc_auc")], EVALUATE).verdict
        is Verdict.PASSED
    )


@pytest.mark.parametrize(
    ("name", "gain", "low", "verdict"),
    [
        ("dummy", 0.1, 0.01, Verdict.PASSED),
        ("dummy", 0.1, 0.0, Verdict.INCONCLUSIVE),
        ("dummy", 0.1, None, Verdict.INCONCLUSIVE),
        ("dummy", 0.0, -0.1, Verdict.FAILED),
        ("dummy", -0.1, -0.2, Verdict.FAILED),
        ("linear", 0.01, -0.1, Verdict.PASSED),
        ("linear", 0.0, -0.1, Verdict.FAILED),
    ],
)
def test_no_model_at_all_has_to_be_surely_beaten_and_a_simple_one_by_what_was_measured(
    name: str, gain: float, low: float | None, verdict: Verdict
) -> None:
    known = {"dummy": comparison(), "linear": comparison()}
    known[name] = comparison(gain=gain, gain_low=low, gain_high=0.2)
    for is_linear in (False, True):
        results = judge(report(references=known, is_linear=is_linear), [Gate(metric="roc_auc")], EVALUATE).results
        found = {r.gate: r for r in results if r.gate.startswith("beats_")}
        assert list(found) == (["beats_dummy"] if is_linear else ["beats_dummy", "beats_linear"])
        if f"beats_{name}" in found:
            beaten = found[f"beats_{name}"]
            assert (beaten.verdict, beaten.measured, beaten.low, beaten.high) == (verdict, gain, low, 0.2)
            assert beaten.what == "gain in roc_auc"


def test_each_reference_that_was_not_measured_is_a_doubt_of_its_own() -> None:
    results = judge(report(references={}), [Gate(metric="roc_auc")], EVALUATE).results
    assert [r.gate for r in results if r.verdict is Verdict.INCONCLUSIVE] == ["beats_dummy", "beats_linear"]


@pytest.mark.parametrize(
    ("harms", "harmed"),
    [
        ((0.04, 0.02), {"0", "1"}),
        ((0.04, 0.03), set()),
        ((0.06, 0.02), {"1"}),
        ((0.9, 0.025), set()),
        ((0.05,), set()),
        ((0.9, 0.9, 0.016), {"2"}),
        ((0.9, 0.9, 0.017), set()),
    ],
)
def test_of_several_slices_the_worst_has_to_be_the_surest(harms: tuple[float, ...], harmed: set[str]) -> None:
    slices = tuple(slice_of(str(place), p_harm) for place, p_harm in enumerate(harms))
    judged = judge(report(slices=slices), [Gate(metric="roc_auc")], EvaluateSpec(slices=("region",), alpha=0.05))
    told = {r.gate: r for r in judged.results if r.gate.startswith("slice.")}
    assert {gate.partition("=")[2] for gate, r in told.items() if r.verdict is Verdict.FAILED} == harmed
    assert {gate.partition("=")[2] for gate, r in told.items() if r.sentence.endswith(", provably worse")} == harmed
    assert all((r.measured, r.low, r.high, r.what) == (0.05, 0.03, 0.07, "gain in roc_auc") for r in told.values())


def test_a_slice_s_bound_names_the_margin_of_the_primary_metric() -> None:
    other, primary = Gate(metric="log_loss", margin=0.3), Gate(metric="roc_auc", margin=0.2)
    for gates, margin in (([other, primary], "20.0% of the champion's value"), ([other], "the margin")):
        judged = judge(report(slices=(slice_of("north", 0.9),)), gates, EvaluateSpec(slices=("region",)))
        told = next(r for r in judged.results if r.gate == "slice.region=north")
        assert told.bound == f"not provably worse than {margin}"


def test_a_slice_that_nobody_declared_is_not_judged() -> None:
    harmed = report(slices=(slice_of("north", 0.001),))
    assert judge(harmed, [Gate(metric="roc_auc")], EVALUATE).verdict is Verdict.PASSED


def test_one_provably_worse_slice_fails_and_holm_guards_against_luck() -> None:
    evaluate = EvaluateSpec(slices=("region",))
    harmed = report(slices=(slice_of("north", 0.001), slice_of("south", 0.6)))
    lucky = report(slices=tuple(slice_of(str(i), 0.04) for i in range(10)))
    assert judge(harmed, [Gate(metric="roc_auc")], evaluate).verdict is Verdict.FAILED
    assert judge(lucky, [Gate(metric="roc_auc")], evaluate).verdict is Verdict.PASSED


def test_a_declared_slice_that_was_not_measured_is_a_doubt() -> None:
    evaluate = EvaluateSpec(slices=("region",))
    assert judge(report(), [Gate(metric="roc_auc")], evaluate).verdict is Verdict.INCONCLUSIVE
    assert (
        judge(report(slices=(slice_of("north", None),)), [Gate(metric="roc_auc")], evaluate).verdict
        is Verdict.INCONCLUSIVE
    )
    assert (
        judge(report(slices=(slice_of("north", None, judged=False),)), [Gate(metric="roc_auc")], evaluate).verdict
        is Verdict.PASSED
    )


@pytest.mark.parametrize("field", ["challenger", "other", "gain", "gain_low", "gain_high"])
@pytest.mark.parametrize("value", UNUSABLE)
def test_an_unusable_number_in_the_comparison_never_passes(field: str, value: float | None) -> None:
    broken = report(comparisons=(comparison("roc_auc", **{field: value}),))
    for gate in (Gate(metric="roc_auc"), Gate(metric="roc_auc", floor=0.1, min_gain=0.0)):
        judgement = judge(broken, [gate], EVALUATE)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert len(judgement.digest()) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"comparisons": ()},
        {"comparisons": (comparison("accuracy"),)},
        {"comparisons": (comparison(), comparison())},
        {"comparisons": (comparison(rows=0),)},
        {"comparisons": (comparison(blocks=3),)},
        {"references": {}},
        {"references": {"dummy": comparison(gain=math.nan), "linear": comparison()}},
        {"references": {"dummy": comparison(gain=0.01, gain_low=-0.03), "linear": comparison()}},
        {"references": {"dummy": comparison(gain_low=None), "linear": comparison()}},
    ],
    ids=[
        "empty",
        "other metric",
        "ambiguous",
        "no rows",
        "few blocks",
        "no references",
        "NaN reference",
        "no better than chance",
        "no interval",
    ],
)
def test_missing_evidence_never_passes(changes: dict[str, object]) -> None:
    assert judge(report(**changes), [Gate(metric="roc_auc", floor=0.1)], EVALUATE).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("size_mb", "verdict"), [(3.0, Verdict.PASSED), (11.0, Verdict.FAILED)])
def test_a_first_model_is_held_to_its_size_too(size_mb: float, verdict: Verdict) -> None:
    gates = [Gate(metric="roc_auc", floor=0.75), Gate(metric="size_mb", ceiling=10)]
    assert judge(first_model(measurements={"size_mb": size_mb}), gates, EVALUATE).verdict is verdict


def test_how_many_answers_change_is_asked_only_where_somebody_got_others() -> None:
    for share in ("churn_share", "negative_flip_share"):
        gates = [Gate(metric="roc_auc", floor=0.75), Gate(metric=share, ceiling=0.05)]
        assert judge(first_model(measurements={}), gates, EVALUATE).verdict is Verdict.PASSED
        assert judge(report(measurements={share: 0.1}), gates, EVALUATE).verdict is Verdict.FAILED
        assert judge(report(measurements={}), gates, EVALUATE).verdict is Verdict.INCONCLUSIVE


def test_a_first_model_became_worse_in_no_slice() -> None:
    evaluate = EvaluateSpec(slices=("region",))
    assert judge(first_model(), [Gate(metric="roc_auc", floor=0.75)], evaluate).verdict is Verdict.PASSED


@pytest.mark.parametrize(("rows", "blocks", "verdict"), [(100, 8, Verdict.PASSED), (99, 8, None), (100, 7, None)])
def test_evidence_suffices_from_its_declared_size_on(rows: int, blocks: int, verdict: Verdict | None) -> None:
    known = {"dummy": comparison(rows=rows, blocks=20), "linear": comparison(rows=rows, blocks=20)}
    facts: dict[str, object] = {"rows": rows, "blocks": 20, "references": known, "measurements": {"size_mb": 1.0}}
    gates = [Gate(metric="roc_auc", min_gain=0.0, min_rows=100)]
    evidence = report(comparisons=(comparison(rows=rows, blocks=blocks),), **facts)
    assert judge(evidence, gates, EVALUATE).verdict is (verdict or Verdict.INCONCLUSIVE)
    sized = [Gate(metric="roc_auc", floor=0.1, min_rows=1), Gate(metric="size_mb", ceiling=2, min_rows=100)]
    enough = judge(report(comparisons=(comparison(rows=rows, blocks=20),), **facts), sized, EVALUATE)
    assert (enough.verdict is Verdict.PASSED) == (rows >= 100)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"comparisons": (comparison(challenger=1.7),)}, "roc_auc: roc_auc cannot be 1.7, as it is 0 to 1"),
        ({"comparisons": (comparison(rows=0, blocks=0),)}, "roc_auc: it was measured on 0 rows"),
        ({"comparisons": (comparison(gain_high=0.01),)}, "its interval ends at 0.01, before it begins at 0.03"),
        ({"comparisons": (comparison(gain=0.2),)}, "the gain 0.2 lies outside of its interval"),
        ({"measurements": {"size_mb": -1.0, "churn_share": 0.1}}, "size_mb cannot be -1: it is more than 0"),
        ({"leaked_rows": -1}, "-1 of 5,000 rows cannot have leaked"),
    ],
)
def test_a_contradiction_is_told(changes: dict[str, object], says: str) -> None:
    judgement = judge(report(**changes), [Gate(metric="roc_auc")], EVALUATE)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.sentence


def test_rounding_is_no_contradiction() -> None:
    exact = comparison(challenger=1 + 1e-12, other=0.8, gain=0.03 - 1e-12)
    assert judge(report(comparisons=(exact,)), [Gate(metric="roc_auc")], EVALUATE).verdict is Verdict.PASSED
