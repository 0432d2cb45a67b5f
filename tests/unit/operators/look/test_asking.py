"""A retraining is asked for once, never lost, and asked for again when it does not come."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from tests.unit.operators.live_traffic import declare, entries, serve
from tests.unit.operators.look.look import MONITOR, MOVED, Run, drift
from understudy.contract.retrainings import Look
from understudy.contract.words import EntryKind, Trigger
from understudy.hooks.connect import connect
from understudy.hooks.looks import retrainings, trouble_with
from understudy.settings import settings

pytestmark = pytest.mark.usefixtures("look_home")


def looks() -> list[Look]:
    return [Look.model_validate(entry.facts) for entry in entries(EntryKind.MONITORED)]


def answer() -> None:
    facts = {
        "cause": {"reasons": ["drift"], "sentence": "s"},
        "may_promote": True,
        "as_of": datetime.now(timezone.utc).isoformat(),
    }
    connect().ledger.append("price", EntryKind.TRIGGERED, "asset_triggered", "drift", "run1", facts)


def test_a_retry_decides_nothing_anew_and_asks_again() -> None:
    serve(1)
    killed, retried = Run("look1"), Run("look1")
    killed.decide(drift(MOVED))  # its event dies with it: Airflow emits when a task succeeds
    retried.decide(drift(0.01))
    assert len(entries(EntryKind.MONITORED)) == 1
    assert retried.asked == killed.asked


def test_a_task_that_is_cleared_after_its_request_was_answered_asks_no_more() -> None:
    serve(1)
    Run("look1").decide(drift(MOVED))
    answer()
    cleared = Run("look1")
    assert cleared.decide(drift(MOVED)).is_due
    assert cleared.asked == []


def test_of_many_looks_at_once_one_asks() -> None:
    serve(1)
    runs = [Run(f"look{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda run: run.decide(drift(MOVED)), runs))
    assert len(entries(EntryKind.MONITORED)) == 8
    assert sum(len(run.asked) for run in runs) == 1
    held_back = [look.decision.held_back for look in looks() if not look.is_due]
    assert len([why for why in held_back if why and "cool-down" in why]) == 7


def test_a_paused_retraining_is_told_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__RETRAIN_WITHIN", "0s")
    settings.cache_clear()
    serve(1)
    Run("look1").decide(drift(MOVED))
    again = Run("look2")
    again.decide(drift(MOVED))
    assert len(again.asked) == 1
    assert "is the DAG retrain__price paused or broken?" in entries(EntryKind.MONITORED)[-1].reason
    answer()
    third = Run("look3")
    third.decide(drift(MOVED))
    assert looks()[-1].trouble == ()
    assert third.asked == [], "the cool-down counts again"


@pytest.mark.parametrize(("days", "is_late"), [(14, False), (16, True)])
def test_a_retraining_that_waits_for_live_traffic_is_not_told_as_late(
    monkeypatch: pytest.MonkeyPatch, days: int, is_late: bool
) -> None:
    declare(monitor=MONITOR, shadow={"deadline": "14d"})
    serve(1)
    answer()
    now = datetime.now(timezone.utc) + timedelta(days=days)
    monkeypatch.setattr("understudy.operators.look.decide.begun_at", lambda _: now)
    Run("look1").decide(drift(0.01))
    assert [("had to be over by" in told) for look in looks() for told in look.trouble] == [True] * is_late


@pytest.mark.parametrize(("days", "is_late"), [(14, False), (16, True)])
def test_nor_by_status_and_doctor(days: int, is_late: bool) -> None:
    declare(monitor=MONITOR, shadow={"deadline": "14d"})
    answer()
    past = retrainings(connect().ledger, "price")
    (begun,) = past.begun
    long_ago = begun.model_copy(update={"at": begun.at - timedelta(days=days)})
    told = trouble_with(past.model_copy(update={"begun": (long_ago,)}), "price", settings())
    assert ["had to be over by" in sentence for sentence in told] == [True] * is_late


def test_what_was_asked_is_read_back_from_the_ledger() -> None:
    serve(1)
    Run("look1").decide(drift(MOVED))
    waiting = retrainings(connect().ledger, "price").unanswered()
    assert waiting is not None
    assert waiting.look.decision.reasons == (Trigger.DRIFT,)
