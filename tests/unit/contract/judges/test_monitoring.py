"""judge_monitoring(): what is missing never triggers, more drift never un-triggers, and "no" is an answer too."""

import math
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.contract.judgement import GateResult
from understudy.contract.judges.challenger import MIN_BLOCKS
from understudy.contract.judges.lost_quality import judge_loss, t_quantile
from understudy.contract.judges.monitoring import judge_monitoring
from understudy.contract.monitor_spec import MonitorSpec
from understudy.contract.monitoring import (
    Calibration,
    ColumnDrift,
    Decision,
    DriftReport,
    History,
    MonitorReport,
    PastLook,
    QualityReport,
)
from understudy.contract.reports import Finding
from understudy.contract.spec import RetrainSpec
from understudy.contract.words import DistanceMethod, Trigger, Verdict, Watched

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
MONITOR, RETRAIN = MonitorSpec(), RetrainSpec()
UNUSABLE = [None, math.nan, math.inf, -math.inf]
DRIFT_GATES = ("drift", "together", "predictions")


def column(name: str, **changes: Any) -> ColumnDrift:
    facts = {"method": DistanceMethod.WASSERSTEIN, "distance": 0.02, "threshold": 0.1, "importance": 0.25}
    gaps = {"null_share": 0.0, "reference_null_share": 0.0, "null_threshold": 0.1}
    return ColumnDrift(column=name, **{**facts, **gaps, **changes})


def drift(**changes: Any) -> DriftReport:
    facts: dict[str, Any] = {
        "reference_data": "v1",
        "reference_rows": 20_000,
        "current_rows": 2000,
        "sampled_reference_rows": 20_000,
        "sampled_current_rows": 2000,
        "columns": tuple(column(name) for name in "abcd"),
        "prediction": column("answers"),
        "domain_auc": 0.52,
        "domain_auc_usual": 0.55,
        "calibration": Calibration(length="1w", shares=(0.0,) * 20),
    }
    return DriftReport(**{**facts, **changes})


MOVED = drift(columns=(column("a", distance=0.5), column("b", distance=0.5), column("c"), column("d")))


def quality(**changes: Any) -> QualityReport:
    facts: dict[str, Any] = {
        "metric": "roc_auc",
        "rows": 2000,
        "labelled_rows": 2000,
        "blocks": 28,
        "blessed_blocks": 40,
        "value": 0.85,
        "value_error": 0.01,
        "blessed": 0.86,
        "blessed_error": 0.01,
        "loss": 0.2,
        "loss_error": 0.01,
        "blessed_loss": 0.2,
        "blessed_loss_error": 0.01,
    }
    return QualityReport(**{**facts, **changes})


def report(**changes: Any) -> MonitorReport:
    facts: dict[str, Any] = {
        "model": "m",
        "watched": Watched.GATEWAY,
        "champion_version": 3,
        "champion_since": NOW - 20 * DAY,
        "trained_until": NOW - 30 * DAY,
        "as_of": NOW,
        "window_start": NOW - 7 * DAY,
        "window_end": NOW,
        "drift": drift(),
        "quality": quality(),
        "new_labels": 500,
    }
    return MonitorReport(**{**facts, **changes})


def looks(*drifting: bool | None, apart: timedelta = DAY, version: int = 3) -> History:
    return History(
        looks=tuple(
            PastLook(
                at=NOW - apart * age,
                champion_version=version,
                window_end=NOW - apart * age,
                is_drifting=saw is True,
                is_conclusive=saw is not None,
            )
            for age, saw in enumerate(drifting, start=1)
        )
    )


def decide(
    given: MonitorReport, history: History | None = None, *, retrain: RetrainSpec = RETRAIN, **monitor: Any
) -> Decision:
    return judge_monitoring(given, MonitorSpec(**monitor) if monitor else MONITOR, retrain, history or History())


def answer(decision: Decision, gate: str) -> Verdict:
    return next(result.verdict for result in decision.judgement.results if result.gate == gate)


def of_drift(measured: DriftReport, gate: str) -> GateResult:
    results = decide(report(drift=measured)).judgement.results
    return next(result for result in results if result.gate == gate)


def test_looked_and_nothing_to_do_is_a_decision() -> None:
    decision = decide(report())
    assert decision.judgement.verdict is Verdict.PASSED
    assert not decision.is_due
    assert decision.sentence.startswith("looked, nothing to do")


def test_drift_must_hold_for_the_declared_number_of_looks() -> None:
    first, second = decide(report(drift=MOVED)), decide(report(drift=MOVED), looks(True))
    assert first.is_drifting
    assert not first.is_due
    assert "drift seen in 1 of 2 looks" in first.sentence
    assert second.reasons == (Trigger.DRIFT,)
    assert second.is_due


@pytest.mark.parametrize(
    ("history", "is_due"),
    [
        (looks(False, True), False),
        (looks(None, True), True),
        (looks(None, None), False),
        (looks(True, apart=timedelta(minutes=1)), False),
        (looks(True, apart=MONITOR.window * 0.098), False),
        (looks(True, apart=MONITOR.window / 10), True),
        (looks(True, version=2), False),
    ],
    ids=[
        "a quiet look between",
        "a blind look between",
        "only blind looks",
        "the same rows again",
        "less than a tenth is new",
        "a tenth is new",
        "another champion",
    ],
)
def test_which_earlier_looks_count(history: History, is_due: bool) -> None:
    assert decide(report(drift=MOVED), history).is_due is is_due


def test_each_earlier_look_counts_once() -> None:
    assert "drift seen in 3 of 4 looks" in decide(report(drift=MOVED), looks(True, True), looks=4).sentence


def test_a_calibration_with_too_many_false_alarms_decides_nothing_on_drift() -> None:
    noisy = MOVED.model_copy(update={"calibration": Calibration(length="1w", shares=(0.4,) + (0.0,) * 19)})
    decision = decide(report(drift=noisy), looks(True))
    assert answer(decision, "drift") is Verdict.INCONCLUSIVE
    assert not decision.is_drifting
    assert "1 of 20 windows of the champion's own data would have looked like drift" in decision.sentence


def test_broken_data_are_an_incident_and_no_reason_to_train() -> None:
    broken = Finding(check="schema", bound="b", failed=True, batch_level=True, sentence="column 'x' is missing")
    more = (*MOVED.columns[:3], column("d", null_share=0.1))
    fewer = (*MOVED.columns[:3], column("d", reference_null_share=0.1))
    for changes in ({"invariants": (broken,)}, {"columns": more}, {"columns": fewer}):
        decision = decide(report(drift=MOVED.model_copy(update=changes)), looks(True))
        assert decision.judgement.verdict is Verdict.FAILED
        assert answer(decision, "data") is Verdict.FAILED
        assert not decision.is_drifting
        assert not decision.reasons


def test_data_are_as_declared_where_every_check_holds_and_cells_alone_fail() -> None:
    holds = Finding(check="schema", bound="b", failed=False, batch_level=True, sentence="all columns are there")
    cells = Finding(check="range", bound="b", failed=True, batch_level=False, sentence="3 values are below 0")
    for checks, told in (((holds, cells), "2 declared checks hold"), ((), "no checks are declared")):
        data = of_drift(drift(invariants=checks), "data")
        assert (data.verdict, data.measured) == (Verdict.PASSED, 0)
        assert data.sentence == f"{told}, and values are missing as usual"


def test_an_empty_window_is_not_as_declared() -> None:
    data = of_drift(drift(current_rows=0), "data")
    assert (data.verdict, data.sentence) == (Verdict.INCONCLUSIVE, "the window holds no rows")


@pytest.mark.parametrize("unusable", UNUSABLE)
@pytest.mark.parametrize("field", ["null_share", "reference_null_share", "null_threshold"])
def test_gaps_that_nobody_knows_of_leave_it_open_whether_values_are_missing(field: str, unusable: float | None) -> None:
    data = of_drift(drift(columns=(column("a"), column("b", **{field: unusable}))), "data")
    assert data.verdict is Verdict.INCONCLUSIVE
    assert data.sentence == "it is unknown how many values of 'b' may be missing"


def test_a_column_that_always_lacks_values_has_no_gaps() -> None:
    always = column("a", null_share=0.5, reference_null_share=0.45)
    assert of_drift(drift(columns=(always,)), "data").verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("columns", "verdict"),
    [
        ((column("a", distance=0.5, importance=0.3), column("b", importance=0.7)), Verdict.FAILED),
        ((column("a", distance=0.5, importance=0.29), column("b", importance=0.71)), Verdict.PASSED),
        ((column("a", distance=0.1, importance=0.3), column("b", importance=0.7)), Verdict.FAILED),
        ((column("a", distance=None, importance=0.3), column("b", importance=0.7)), Verdict.INCONCLUSIVE),
        ((column("a", distance=None, importance=0.29), column("b", importance=0.71)), Verdict.PASSED),
        (
            (
                column("a", distance=None, importance=0.15),
                column("b", distance=0.5, importance=0.15),
                column("c", importance=0.7),
            ),
            Verdict.INCONCLUSIVE,
        ),
        (
            (
                column("a", distance=0.5, importance=math.nan),
                column("b", distance=0.5, importance=0.3),
                column("c", importance=0.7),
            ),
            Verdict.FAILED,
        ),
    ],
    ids=[
        "just the share that counts",
        "just less",
        "moved by just what is unusual",
        "unknown and enough to be drift",
        "unknown and too little to be drift",
        "drift only if the unknown moved as well",
        "drift whatever a column of unknown importance did",
    ],
)
def test_drift_is_a_matter_of_the_importance_that_moved(columns: tuple[ColumnDrift, ...], verdict: Verdict) -> None:
    assert of_drift(drift(columns=columns), "drift").verdict is verdict


def test_the_last_bit_of_a_sum_decides_nothing_on_drift() -> None:
    moved = (column("a", distance=0.5, importance=0.7), column("b", distance=0.5, importance=0.1), column("c"))
    assert sum(one.importance for one in moved[:2]) < 0.8
    assert answer(decide(report(drift=drift(columns=moved)), drift_share=0.8), "drift") is Verdict.FAILED


def test_columns_that_moved_are_named_the_most_important_first() -> None:
    shares = {"a": 0.1, "c": 0.2, "b": 0.2, "d": 0.4}
    moved = [column(name, distance=0.5, importance=share) for name, share in shares.items()]
    rest = column("e", importance=0.1)
    three = of_drift(drift(columns=(*moved[1:], moved[0].model_copy(update={"distance": 0.0}), rest)), "drift")
    named = "d by 0.5 (usual up to 0.1); b by 0.5 (usual up to 0.1); c by 0.5 (usual up to 0.1)"
    assert three.sentence == f"3 of 5 columns have moved, with 80% of the importance: {named}"
    four = of_drift(drift(columns=(*moved, rest)), "drift")
    assert four.sentence == f"4 of 5 columns have moved, with 90% of the importance: {named}; and 1 more"


def test_moved_predictions_count_unless_labels_show_that_quality_holds() -> None:
    moved = drift(prediction=column("answers", distance=0.9, threshold=0.3))
    assert not decide(report(drift=moved), looks(True)).is_drifting
    assert decide(report(drift=moved, quality=quality(labelled_rows=3)), looks(True)).is_due
    lost = decide(report(drift=moved, quality=quality(loss=0.4)), looks(True))
    assert lost.reasons == (Trigger.QUALITY, Trigger.DRIFT)


def test_what_moves_together_counts_by_its_size() -> None:
    assert decide(report(drift=drift(domain_auc=0.7)), looks(True)).is_due
    assert not decide(report(drift=drift(domain_auc=0.7, domain_auc_usual=0.68)), looks(True)).is_drifting
    assert not decide(report(drift=drift(domain_auc=0.58, domain_auc_usual=0.5)), looks(True)).is_drifting


def test_requests_are_compared_with_the_source_only_where_both_are_there() -> None:
    assert "skew" not in {result.gate for result in decide(report()).judgement.results}


@pytest.mark.parametrize(
    ("area", "usual", "is_apart"),
    [(0.6, 0.5, True), (0.599, 0.5, False), (0.8, 0.75, True), (0.799, 0.75, False)],
    ids=["the least area", "just less", "the least rise", "a smaller rise"],
)
def test_windows_that_can_just_be_told_apart_have_moved_together(area: float, usual: float, is_apart: bool) -> None:
    together = of_drift(drift(domain_auc=area, domain_auc_usual=usual), "together")
    assert together.verdict is (Verdict.FAILED if is_apart else Verdict.PASSED)


NOT_TOLD_APART = "it was not measured how well the windows can be told apart"


@pytest.mark.parametrize(
    ("gate", "changes", "told"),
    [
        *((gate, {"current_rows": 299}, "the window holds 299 rows; 300 are needed") for gate in DRIFT_GATES),
        ("drift", {"columns": ()}, "no column could be compared"),
        (
            "drift",
            {"calibration": Calibration(length="1w", shares=(0.0,) * 7)},
            "the reference has 7 windows of its own to tell what is usual; 8 are needed",
        ),
        (
            "drift",
            {"calibration": Calibration(length="1w", shares=(0.3,) + (0.0,) * 48)},
            "1 of 49 windows of the champion's own data would have looked like drift; at most 2.0% may",
        ),
        (
            "drift",
            {"columns": (column("a", distance=None, importance=1.0),)},
            "column 'a' was not measured: nothing is usual for it; that could be drift",
        ),
        *(
            ("together", {field: bad}, NOT_TOLD_APART)
            for field in ("domain_auc", "domain_auc_usual")
            for bad in UNUSABLE
        ),
        ("predictions", {"prediction": None}, "the champion's answers were not compared"),
        ("predictions", {"prediction": column("answers", distance=None, problem="no answers")}, "no answers"),
        ("skew", {"skew": (column("a"), column("b", distance=None, problem="b is empty"))}, "b is empty"),
    ],
)
def test_what_was_not_measured_enough_leaves_its_question_open(gate: str, changes: dict[str, Any], told: str) -> None:
    found = of_drift(drift(**changes), gate)
    assert (found.verdict, found.sentence) == (Verdict.INCONCLUSIVE, told)


@pytest.mark.parametrize(
    "changes",
    [
        {"current_rows": 300},
        {"calibration": Calibration(length="1w", shares=(0.0,) * 8)},
        {"calibration": Calibration(length="1w", shares=(0.3,) + (0.0,) * 49)},
    ],
    ids=["rows", "windows", "false alarms"],
)
def test_a_measurement_that_just_suffices_answers_every_question(changes: dict[str, Any]) -> None:
    assert [of_drift(drift(**changes), gate).verdict for gate in DRIFT_GATES] == [Verdict.PASSED] * 3


def test_skew_is_told_and_never_trained_away() -> None:
    decision = decide(report(drift=drift(skew=(column("a", distance=2.0), column("b")))), looks(True))
    found = next(result for result in decision.judgement.results if result.gate == "skew")
    assert (found.verdict, found.measured, found.what) == (Verdict.FAILED, 1, "columns that differ")
    assert found.sentence == "a by 2 (usual up to 0.1)"
    held = of_drift(drift(skew=(column("a"), column("b"))), "skew")
    assert (held.verdict, held.measured, held.sentence) == (Verdict.PASSED, 0, "2 columns are as in the source")
    assert not decision.reasons


@pytest.mark.parametrize(
    ("changes", "is_due"),
    [
        ({"loss": 0.3}, True),
        ({"loss": 0.215, "loss_error": 0.0001, "blessed_loss_error": 0.0001}, False),
        ({"loss": 0.25, "loss_error": 0.05}, False),
        ({"value": 0.7}, True),
        ({"metric": "log_loss", "value": 0.4, "blessed": 0.9}, False),
        ({"loss": 0.3, "blocks": 5}, False),
        ({"loss": 0.3, "labelled_rows": 100}, False),
    ],
    ids=["worse", "certain but small", "large but uncertain", "metric alone", "better", "few blocks", "few labels"],
)
def test_quality_is_lost_when_it_matters_and_is_no_chance(changes: dict[str, Any], is_due: bool) -> None:
    decision = decide(report(quality=quality(**changes)))
    assert decision.is_due is is_due
    assert decision.reasons == ((Trigger.QUALITY,) if is_due else ())


@pytest.mark.parametrize(
    ("changes", "what", "bound"),
    [
        ({"value": 0.02}, "fall of roc_auc, from 0.86 to 0.02", "less than 0.04838 worse, which chance explains"),
        (
            {"value": 0.02, "value_error": 0.001, "blessed_error": 0.001},
            "fall of roc_auc, from 0.86 to 0.02",
            "less than 0.02 worse, the least that counts",
        ),
        (
            {"metric": "log_loss", "value": 1.7},
            "rise of log_loss, from 0.86 to 1.7",
            "less than 0.04838 worse, which chance explains",
        ),
    ],
    ids=["chance decides", "the least that counts decides", "less is better"],
)
def test_lost_quality_is_told_with_its_name_its_interval_and_the_bound_that_decided(
    changes: dict[str, Any], what: str, bound: str
) -> None:
    decision = decide(report(quality=quality(**changes)))
    lost = next(one for one in decision.judgement.results if one.gate == f"quality.{quality(**changes).metric}")
    assert lost.measured == pytest.approx(0.84)
    assert (lost.what, lost.bound) == (what, bound)
    assert lost.low is not None
    assert lost.high is not None
    assert lost.low < 0.84 < lost.high
    assert (lost.low + lost.high) / 2 == pytest.approx(0.84)


@given(st.floats(0, 1), st.floats(0, 0.2), st.floats(0, 0.2))
def test_quality_is_lost_only_where_the_interval_holds_no_gain(value: float, error: float, other: float) -> None:
    decision = decide(report(quality=quality(value=value, value_error=error, blessed_error=other)))
    found = next(one for one in decision.judgement.results if one.gate == "quality.roc_auc")
    assert found.low is not None
    assert found.measured is not None
    is_lost = found.measured >= MONITOR.min_loss and found.low >= 0
    assert (found.verdict is Verdict.FAILED) == is_lost


def test_what_has_no_interval_says_by_what_it_is_judged() -> None:
    moved = column("answers", source="the largest of 20 windows of 1w of the reference (0.05)")
    known = report(drift=drift(prediction=moved, skew=(column("a"),)))
    results = decide(known, retrain=RetrainSpec(max_age="31d")).judgement.results  # type: ignore[arg-type]
    told = {one.gate: one.basis for one in results if one.low is None}
    assert told == {
        "data": "counted, not estimated",
        "drift": "each column's threshold from 20 windows of 1w of the reference",
        "together": "usual from 20 windows of 1w of the reference",
        "predictions": "threshold from the largest of 20 windows of 1w of the reference (0.05)",
        "skew": "counted, not estimated",
        "age": "counted, not estimated",
    }
    assert all(one.measured is not None and one.what for one in results)


@pytest.mark.parametrize(
    ("usual", "bound"), [(0.5, "below 0.6"), (0.6, "below 0.65")], ids=["the least area", "the least rise"]
)
def test_of_two_bounds_on_what_moves_together_the_one_that_decides_is_told(usual: float, bound: str) -> None:
    results = decide(report(drift=drift(domain_auc_usual=usual))).judgement.results
    assert next(one.bound for one in results if one.gate == "together") == bound


def test_what_was_not_measured_is_asked_about_all_the_same() -> None:
    asked = [result.gate for result in decide(report(drift=None, quality=None)).judgement.results]
    assert asked == ["drift", "quality.loss"]


def test_age_and_new_labels_speak_for_themselves() -> None:
    aged = decide(report(drift=None, quality=None), retrain=RetrainSpec(max_age="30d"))  # type: ignore[arg-type]
    assert aged.reasons == (Trigger.STALENESS,)
    assert not decide(report(), retrain=RetrainSpec(max_age="31d")).reasons  # type: ignore[arg-type]
    assert decide(report(), retrain=RetrainSpec(new_labels=500)).reasons == (Trigger.NEW_LABELS,)
    assert not decide(report(), retrain=RetrainSpec(new_labels=501)).reasons
    assert not decide(report(new_labels=None), retrain=RetrainSpec(new_labels=1)).reasons


@pytest.mark.parametrize(
    ("changes", "days", "since"),
    [
        ({}, 30, "its newest training row"),
        ({"trained_until": None}, 20, "its promotion"),
        ({"trained_until": NOW}, 0, "its newest training row"),
    ],
    ids=["dated rows", "rows without dates", "trained this moment"],
)
def test_the_age_is_told_with_what_it_is_counted_from(changes: dict[str, Any], days: int, since: str) -> None:
    results = decide(report(**changes), retrain=RetrainSpec(max_age="31d")).judgement.results  # type: ignore[arg-type]
    age = next(result for result in results if result.gate == "age")
    assert (age.verdict, age.measured, age.what) == (Verdict.PASSED, days, "days")
    assert f"{days}.0 days old, counted from {since}" in age.sentence


def test_a_champion_from_the_future_has_no_age() -> None:
    decision = decide(report(trained_until=NOW + DAY), retrain=RetrainSpec(max_age="1d"))  # type: ignore[arg-type]
    assert answer(decision, "age") is Verdict.INCONCLUSIVE
    assert not decision.reasons


@pytest.mark.parametrize(
    ("retrained", "retrain", "told"),
    [
        ((NOW - DAY / 2,), RetrainSpec(), "cool-down"),
        (tuple(NOW - DAY * n for n in (2, 3, 6.9)), RetrainSpec(max_per_week=3), "within seven days"),
        ((NOW - DAY / 2, NOW - 3 * DAY), RetrainSpec(), "12.0 hours ago"),
        ((), RetrainSpec(min_new_labels=501), "new labelled rows"),
    ],
    ids=["cool-down", "budget", "the newest of several", "labels"],
)
def test_a_retraining_that_is_due_can_be_held_back(
    retrained: tuple[datetime, ...], retrain: RetrainSpec, told: str
) -> None:
    decision = decide(report(quality=quality(loss=0.4)), History(retrained=retrained), retrain=retrain)
    assert decision.reasons == (Trigger.QUALITY,)
    assert not decision.is_due
    assert told in (decision.held_back or "")
    assert told in decision.sentence


def test_it_is_held_back_where_nobody_knows_how_many_labels_are_new() -> None:
    lost = report(quality=quality(loss=0.4), new_labels=None)
    assert decide(lost).is_due
    needed = RetrainSpec(min_new_labels=1)
    assert decide(lost, retrain=needed).held_back == "it is unknown how many new labels there are; 1 are needed"
    none = decide(lost.model_copy(update={"new_labels": 0}), retrain=needed)
    assert none.held_back == "there are 0 new labelled rows; 1 are needed"


@pytest.mark.parametrize(
    ("retrained", "retrain"),
    [
        ((NOW - RETRAIN.cooldown,), RetrainSpec()),
        ((NOW - 6 * DAY, NOW - 7 * DAY), RetrainSpec(max_per_week=2)),
        ((), RetrainSpec(min_new_labels=500)),
    ],
    ids=["the cool-down is over", "the week is over", "just enough labels"],
)
def test_from_the_declared_bound_on_it_is_held_back_no_longer(
    retrained: tuple[datetime, ...], retrain: RetrainSpec
) -> None:
    assert decide(report(quality=quality(loss=0.4)), History(retrained=retrained), retrain=retrain).is_due


def test_where_nothing_speaks_for_a_retraining_none_is_held_back() -> None:
    assert decide(report(), History(retrained=(NOW,))).held_back is None


def test_switches_are_obeyed() -> None:
    worse = report(drift=MOVED, quality=quality(loss=0.4))
    assert decide(worse, looks(True)).reasons == (Trigger.QUALITY, Trigger.DRIFT)
    assert decide(worse, looks(True), retrain=RetrainSpec(drift=False, quality=False)).reasons == ()


def test_a_decision_says_what_is_due_by_what_and_whether_drift_was_seen() -> None:
    lost = report(quality=quality(loss=0.4))
    due = decide(lost, retrain=RetrainSpec(new_labels=1)).sentence
    assert due.startswith("a retraining is due by quality and new labels: loss is 0.4")
    idle = decide(lost, retrain=RetrainSpec(quality=False)).sentence
    assert idle.startswith("looked, no retraining is due: loss is 0.4")
    assert "drift seen" not in due + idle


def test_the_approximate_quantile_is_students() -> None:
    from scipy.stats import t

    for degrees in (7, 12, 27, 200):
        assert t_quantile(0.999, degrees) == pytest.approx(t.ppf(0.999, degrees), rel=0.02)
        assert t_quantile(0.99, degrees) == pytest.approx(t.ppf(0.99, degrees), rel=0.01)


numbers = st.floats(0, 2) | st.sampled_from(UNUSABLE)
columns = st.lists(
    st.builds(
        column,
        st.sampled_from("abcdefgh"),
        distance=numbers,
        threshold=numbers,
        importance=st.floats(0, 1),
        null_share=st.floats(0, 1) | st.sampled_from(UNUSABLE),
    ),
    max_size=8,
    unique_by=lambda c: c.column,
)


@given(st.data())
def test_nothing_missing_ever_triggers(data: st.DataObject) -> None:
    """Whatever is taken away from a report that triggers nothing, it triggers nothing."""
    drawn = data.draw(columns)
    shares = data.draw(st.lists(st.floats(0, 1), max_size=12))
    known = drift(columns=tuple(drawn), calibration=Calibration(length="1w", shares=tuple(shares)))
    whole = report(drift=known, quality=quality(loss=data.draw(st.floats(0.1, 0.3))))
    if decide(whole, looks(True)).reasons:
        return
    blinded = [
        c.model_copy(
            update={
                data.draw(st.sampled_from(["distance", "threshold", "null_share", "null_threshold"])): data.draw(
                    st.sampled_from(UNUSABLE)
                )
            }
        )
        if data.draw(st.booleans())
        else c
        for c in drawn
    ]
    lost = {
        field: data.draw(st.sampled_from(UNUSABLE))
        for field in data.draw(
            st.sets(st.sampled_from(["loss", "loss_error", "blessed", "value_error", "blessed_loss"]))
        )
    }
    less = whole.model_copy(
        update={
            "drift": None if data.draw(st.booleans()) else known.model_copy(update={"columns": tuple(blinded)}),
            "quality": None if data.draw(st.booleans()) else whole.quality.model_copy(update=lost),  # type: ignore[union-attr]
            "new_labels": None,
        }
    )
    decision = decide(less, looks(True))
    assert not decision.reasons


@given(columns, st.integers(0, 7), st.floats(0, 5))
def test_more_drift_never_untriggers(drawn: list[ColumnDrift], place: int, more: float) -> None:
    before = decide(report(drift=drift(columns=tuple(drawn))), looks(True))
    if not before.is_due or place >= len(drawn) or drawn[place].distance is None:
        return
    further = drawn[place].model_copy(update={"distance": (drawn[place].distance or 0.0) + more})
    moved = [*drawn[:place], further, *drawn[place + 1 :]]
    assert decide(report(drift=drift(columns=tuple(moved))), looks(True)).is_due


@given(columns, st.randoms(use_true_random=False))
def test_the_order_of_columns_is_irrelevant(drawn: list[ColumnDrift], shuffler: random.Random) -> None:
    mixed = list(drawn)
    shuffler.shuffle(mixed)
    one, other = (decide(report(drift=drift(columns=tuple(given))), looks(True)) for given in (drawn, mixed))
    assert one.reasons == other.reasons
    assert one.judgement.verdict is other.judgement.verdict
    assert [r.measured for r in one.judgement.results] == [r.measured for r in other.judgement.results]


@pytest.mark.parametrize(
    "given",
    [
        report(drift=None, quality=None, problems=("the reference window of version 3 is gone",)),
        report(drift=None),
        report(quality=None),
        report(drift=drift(current_rows=0, columns=()), quality=quality(rows=0, labelled_rows=0)),
        report(drift=MOVED.model_copy(update={"current_rows": 299})),
        report(drift=drift(columns=tuple(column(n, distance=None, problem=f"column {n!r} is empty") for n in "abcd"))),
        report(drift=MOVED.model_copy(update={"calibration": Calibration(length="1w")})),
    ],
    ids=[
        "reference gone",
        "no drift measured",
        "no quality measured",
        "no rows",
        "tiny",
        "nothing measurable",
        "short reference",
    ],
)
def test_what_cannot_be_measured_is_inconclusive_with_a_sentence(given: MonitorReport) -> None:
    decision = decide(given, looks(True))
    assert decision.judgement.verdict is Verdict.INCONCLUSIVE
    assert not decision.is_drifting
    assert not decision.reasons
    assert "nothing to do" not in decision.sentence


@pytest.mark.parametrize(
    ("metric", "is_asked"),
    [("roc_auc", True), ("log_loss", True), ("accuracy", False), ("value", False), ("rmse", False), ("r2", False)],
)
def test_the_metric_of_a_classification_is_asked_about_beside_the_loss(metric: str, is_asked: bool) -> None:
    asked = {result.gate for result in decide(report(quality=quality(metric=metric))).judgement.results}
    assert {gate for gate in asked if gate.startswith("quality.")} == {
        "quality.loss",
        *([f"quality.{metric}"] if is_asked else []),
    }


def test_an_estimate_without_labels_is_told_and_not_judged() -> None:
    told = judge_loss(quality(estimate=9.0), MONITOR)
    assert told.verdict is Verdict.PASSED
    assert told.sentence.endswith("; without labels it is estimated as 9 (an estimate, not judged)")
    for unusable in UNUSABLE:
        assert judge_loss(quality(estimate=unusable), MONITOR) == judge_loss(quality(), MONITOR)


@pytest.mark.parametrize(
    ("enough", "short", "told"),
    [
        ({"labelled_rows": 300}, {"labelled_rows": 299}, "299 of 2,000 rows have a label; 300 are needed"),
        ({"blocks": MIN_BLOCKS}, {"blocks": MIN_BLOCKS - 1}, f"in {MIN_BLOCKS - 1} blocks of time"),
        ({"blessed_blocks": MIN_BLOCKS}, {"blessed_blocks": MIN_BLOCKS - 1}, f"in {MIN_BLOCKS - 1} blocks of time"),
        ({"loss_error": 0.0}, {"loss_error": -0.01}, "is unknown"),
        ({"blessed_loss_error": 0.0}, {"blessed_loss_error": -0.01}, "is unknown"),
    ],
    ids=["rows", "blocks", "blocks of the holdout", "an error below zero", "such an error of the holdout"],
)
def test_labels_that_just_suffice_decide_and_one_less_does_not(
    enough: dict[str, Any], short: dict[str, Any], told: str
) -> None:
    assert judge_loss(quality(**enough), MONITOR).verdict is Verdict.PASSED
    left = judge_loss(quality(**short), MONITOR)
    assert (left.verdict, told in left.sentence) == (Verdict.INCONCLUSIVE, True)


def test_a_loss_that_rose_by_just_what_counts_is_lost_quality() -> None:
    exact = {"loss": 0.5, "blessed_loss": 0.25, "loss_error": 0.0, "blessed_loss_error": 0.0}
    monitor = MonitorSpec(min_loss=0.25)
    assert judge_loss(quality(**exact), monitor).verdict is Verdict.FAILED
    assert judge_loss(quality(**{**exact, "loss": 0.49}), monitor).verdict is Verdict.PASSED
