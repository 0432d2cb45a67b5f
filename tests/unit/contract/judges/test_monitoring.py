"""judge_monitoring(): what is missing never triggers, more drift never un-triggers, and "no" is an answer too."""

import math
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.contract.judges.monitor_reports import (
    DRIFT_GATES,
    MONITOR,
    MOVED,
    UNUSABLE,
    answer,
    column,
    decide,
    drift,
    looks,
    of_drift,
    quality,
    report,
)
from understudy.contract.monitoring import (
    Calibration,
    ColumnDrift,
    History,
    MonitorReport,
)
from understudy.contract.reports import Finding
from understudy.contract.words import Trigger, Verdict


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
    for checks, told in (
        ((holds, cells), "1 of 2 declared checks hold for every row, the rest for all but a few"),
        ((holds, holds), "2 declared checks hold"),
        ((), "no checks are declared"),
    ):
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
    ("usual", "bound"), [(0.5, "below 0.6"), (0.6, "below 0.65")], ids=["the least area", "the least rise"]
)
def test_of_two_bounds_on_what_moves_together_the_one_that_decides_is_told(usual: float, bound: str) -> None:
    results = decide(report(drift=drift(domain_auc_usual=usual))).judgement.results
    assert next(one.bound for one in results if one.gate == "together") == bound


def test_what_was_not_measured_is_asked_about_all_the_same() -> None:
    asked = [result.gate for result in decide(report(drift=None, quality=None)).judgement.results]
    assert asked == ["drift", "quality.loss"]


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
