"""When a look asks for a retraining, and when it is held back."""

from datetime import datetime
from typing import Any

import pytest

from tests.unit.contract.judges.monitor_reports import DAY, MOVED, NOW, RETRAIN, answer, decide, looks, quality, report
from understudy.contract.declaration.spec import RetrainSpec
from understudy.contract.monitoring import (
    History,
)
from understudy.contract.words import Trigger, Verdict


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
