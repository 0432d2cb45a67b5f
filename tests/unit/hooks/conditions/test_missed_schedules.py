"""What was due and did not begin is told as what it is: late, missed, waiting, or broken before it said a word."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest

from tests.unit.contract.ledger_entries import record
from tests.unit.hooks.conditions.declared import declare, hooks_of
from tests.unit.hooks.told_runs import ToldRuns
from understudy.contract.run_time import LONGEST_LOOK
from understudy.contract.words import AlertKind, Change, EntryKind
from understudy.hooks.alerting.condition import Condition
from understudy.hooks.alerting.life import note_sweep
from understudy.hooks.conditions.conditions import conditions
from understudy.hooks.conditions.known_runs import KnownRun, KnownRuns
from understudy.hooks.connect import Hooks
from understudy.workspace import key_in

DAG = "monitor__price"


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    declare(tmp_path, more='monitor: {of: data, schedule: "0 * * * *"}')
    hooks = hooks_of(tmp_path)
    hooks.ledger.append("price", EntryKind.DEPLOYED, "ann", "first", "run1", record(Change.PROMOTION, 1, 1))
    return hooks


@pytest.fixture
def slot(hooks: Hooks) -> datetime:
    """Give the first full hour after the champion came, at which a look is due."""
    (promotion,) = hooks.ledger.entries("price")
    return (promotion.at + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def run(state: str, begun_at: datetime | None = None, ended_at: datetime | None = None) -> KnownRun:
    return KnownRun(run_id="scheduled__1", state=state, begun_at=begun_at, ended_at=ended_at)


def found(hooks: Hooks, at: datetime, *scheduled: KnownRun, is_by_hand: bool = False) -> list[Condition]:
    return conditions(hooks, at, ToldRuns(scheduled=scheduled, is_by_hand=is_by_hand))


def test_a_look_that_takes_more_than_an_hour_is_late_and_not_missed(hooks: Hooks, slot: datetime) -> None:
    assert found(hooks, slot + minutes(90), run("running", slot + minutes(1))) == []
    assert [one.kind for one in found(hooks, slot + minutes(90))] == [AlertKind.SCHEDULE_MISSED]


def test_looks_that_wait_for_one_that_runs_very_long_are_told_as_that(hooks: Hooks, slot: datetime) -> None:
    (told,) = found(hooks, slot + minutes(125), run("running", slot + minutes(1)))
    assert told.kind is AlertKind.SCHEDULE_MISSED
    due, began = slot + minutes(60), slot + minutes(1)
    assert told.sentence == (
        f"price: a look was due at {due:%Y-%m-%d %H:%M} UTC and waits for the look scheduled__1, which runs since "
        f"{began:%Y-%m-%d %H:%M} UTC; does it hang, or is its DAG paused?"
    )


def test_a_look_that_is_queued_for_too_long_is_told_with_its_run(hooks: Hooks, slot: datetime) -> None:
    assert found(hooks, slot + minutes(59), run("queued")) == []
    (told,) = found(hooks, slot + minutes(61), run("queued"))
    assert "has not begun within 1h; its run scheduled__1 is there and waits" in told.sentence


def test_a_look_that_a_person_began_keeps_no_look_from_being_in_time(hooks: Hooks, slot: datetime) -> None:
    assert found(hooks, slot + minutes(90), is_by_hand=True) == []
    (told,) = found(hooks, slot + LONGEST_LOOK + minutes(130), is_by_hand=True)
    assert told.kind is AlertKind.SCHEDULE_MISSED


def test_a_look_that_was_killed_is_told_at_once_and_as_broken(hooks: Hooks, slot: datetime) -> None:
    failed = run("failed", slot + minutes(1), slot + minutes(20))
    told = [found(hooks, slot + minutes(after), failed) for after in (21, 59, 119)]
    assert [[(one.kind, one.name) for one in once] for once in told] == [
        [(AlertKind.RUN_BROKEN, f"run_broken/price/{key_in(DAG, 'scheduled__1')}")]
    ] * 3
    assert told[0][0].sentence == "price: the look scheduled__1 of monitor__price failed before it could say why"
    later = found(hooks, slot + minutes(125), failed)
    assert [one.kind for one in later] == [AlertKind.RUN_BROKEN, AlertKind.SCHEDULE_MISSED]


def test_a_look_that_failed_after_it_had_said_what_it_saw_is_not_told_as_broken(hooks: Hooks, slot: datetime) -> None:
    hooks.ledger.append("price", EntryKind.MONITORED, "scheduled", "blind", key_in(DAG, "scheduled__1"))
    failed = run("failed", slot + minutes(1), slot + minutes(20))
    assert found(hooks, slot + minutes(90), failed) == []


def look_at(hooks: Hooks, number: int, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=lambda _zone: at, fromisoformat=datetime.fromisoformat)
    monkeypatch.setattr("understudy.hooks.ledger.pen.datetime", clock)
    hooks.ledger.append("price", EntryKind.MONITORED, "scheduled", "well", key_in(DAG, f"scheduled__{number}"))


def due(number: int, state: str, at: datetime) -> KnownRun:
    return KnownRun(run_id=f"scheduled__{number}", state=state, begun_at=at, ended_at=at + minutes(2), due_at=at)


def test_looks_that_failed_between_two_sweeps_are_told_though_the_next_one_went_well(
    hooks: Hooks, slot: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [due(0, "failed", slot - minutes(60)), due(1, "failed", slot), due(2, "failed", slot + minutes(3))]
    runs.append(due(3, "success", slot + minutes(6)))
    note_sweep(hooks.ledger, slot + minutes(1))
    look_at(hooks, 3, slot + minutes(8), monkeypatch)
    told = found(hooks, slot + minutes(9), *runs)
    assert [one.kind for one in told] == [AlertKind.RUN_BROKEN] * 2, "the first was seen by the sweep before"
    assert {one.name for one in told} == {f"run_broken/price/{key_in(DAG, f'scheduled__{n}')}" for n in (1, 2)}
    assert all(one.is_final for one in told)
    note_sweep(hooks.ledger, slot + minutes(24))
    assert found(hooks, slot + minutes(29), *runs) == []


def test_airflow_is_not_asked_for_failures_where_nothing_was_due_since_the_last_sweep(
    hooks: Hooks, slot: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at(hooks, 1, slot + minutes(2), monkeypatch)
    note_sweep(hooks.ledger, slot + minutes(25))
    runs = create_autospec(KnownRuns, instance=True)
    conditions(hooks, slot + minutes(30), runs)
    assert runs.newest.call_count == 0


def test_a_retraining_that_broke_before_its_first_word_is_told_as_broken_and_not_as_missed(tmp_path: Path) -> None:
    declare(tmp_path, more='retrain: {schedule: "0 * * * *"}')
    at = datetime.now(timezone.utc).replace(minute=30)
    failed = run("failed", at - minutes(29), at - minutes(10))
    (told,) = found(hooks_of(tmp_path), at, failed)
    assert (told.kind, told.name) == (AlertKind.RUN_BROKEN, f"run_broken/price/{key_in('', 'scheduled__1')}")


def test_a_retraining_that_no_worker_takes_up_is_told_with_its_run(tmp_path: Path) -> None:
    declare(tmp_path, more='retrain: {schedule: "0 3 * * *"}')
    (told,) = found(hooks_of(tmp_path), datetime.now(timezone.utc), run("running", datetime.now(timezone.utc)))
    assert (told.kind, "its run scheduled__1 is there and waits" in told.sentence) == (AlertKind.SCHEDULE_MISSED, True)
