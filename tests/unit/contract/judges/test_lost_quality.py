"""Quality that is lost: what matters and is no chance, and how it is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.contract.judges.monitor_reports import MONITOR, UNUSABLE, column, decide, drift, quality, report
from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.spec import RetrainSpec
from understudy.contract.judges.challenger import MIN_BLOCKS
from understudy.contract.judges.lost_quality import judge_loss, t_quantile
from understudy.contract.words import Trigger, Verdict


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


def test_the_approximate_quantile_is_students() -> None:
    from scipy.stats import t

    for degrees in (7, 12, 27, 200):
        assert t_quantile(0.999, degrees) == pytest.approx(t.ppf(0.999, degrees), rel=0.02)
        assert t_quantile(0.99, degrees) == pytest.approx(t.ppf(0.99, degrees), rel=0.01)


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
