"""What stands wrong without a ledger entry; the gateway is a real server, Airflow's answer about a run is given."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.contract.ledger_entries import record
from tests.unit.hooks.alerting.receivers import web_receiver
from tests.unit.hooks.conditions.declared import DAY, declare, hooks_of, now
from tests.unit.hooks.told_runs import ToldRuns
from understudy.contract.words import AlertKind, Change, EntryKind, Outcome
from understudy.hooks.alerting.condition import Condition
from understudy.hooks.alerting.direct_alerts import ToldDirectly
from understudy.hooks.conditions import conditions as alert_conditions
from understudy.hooks.conditions.conditions import conditions
from understudy.hooks.connect import Hooks


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    return hooks_of(tmp_path)


def found(hooks: Hooks, at: datetime | None = None, states: dict[str, str] | None = None) -> list[Condition]:
    return conditions(hooks, at or now(), ToldRuns(states or {}))


def begin(hooks: Hooks, run: str) -> None:
    facts = {"dag_id": "retrain__price", "run_id": f"manual__{run}"}
    hooks.ledger.append("price", EntryKind.TRIGGERED, "ann", "weekly", run, facts)


def test_where_all_is_well_nothing_is_found(tmp_path: Path, hooks: Hooks) -> None:
    declare(tmp_path)
    assert found(hooks) == []


def test_a_run_that_airflow_failed_and_that_never_said_so_is_found(hooks: Hooks) -> None:
    for run in ("killed", "ended", "running", "deleted"):
        begin(hooks, run)
    facts = {"outcome": Outcome.BROKEN.value}
    hooks.ledger.append("price", EntryKind.CONCLUDED, "ann", "train broke", "ended", facts)
    states = {"manual__killed": "failed", "manual__ended": "failed", "manual__running": "running"}
    (told,) = found(hooks, states=states)
    assert (told.kind, told.name, told.seq) == (AlertKind.RUN_BROKEN, "run_broken/price/killed", 1)
    assert "manual__killed of retrain__price" in told.sentence


def test_a_broken_declaration_is_found_with_its_line(tmp_path: Path, hooks: Hooks) -> None:
    declare(tmp_path, more="gate: []")
    (told,) = found(hooks)
    assert (told.kind, told.model) == (AlertKind.SPEC_BROKEN, "price")
    assert "gate" in told.sentence


def test_a_schedule_that_nobody_kept_is_found_and_one_that_is_kept_is_not(tmp_path: Path, hooks: Hooks) -> None:
    declare(tmp_path, more='retrain: {schedule: "0 3 * * *"}')
    (told,) = found(hooks)
    assert (told.kind, told.name) == (AlertKind.SCHEDULE_MISSED, "schedule_missed/price/retraining")
    assert "03:00 UTC" in told.sentence
    begin(hooks, "run1")
    assert found(hooks) == []


def test_what_was_due_while_another_run_was_under_way_was_not_missed(
    tmp_path: Path, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(tmp_path, more='retrain: {schedule: "0 * * * *", timeout: 5h}')
    begin(hooks, "run1")
    later = now() + timedelta(hours=3)
    assert found(hooks, later, {"manual__run1": "running"}) == []
    assert [told.kind for told in found(hooks, later)] == [AlertKind.SCHEDULE_MISSED]
    ended = now() + timedelta(hours=3)
    clock = SimpleNamespace(now=lambda _zone: ended, fromisoformat=datetime.fromisoformat)
    monkeypatch.setattr("understudy.hooks.ledger.pen.datetime", clock)
    facts = {"outcome": Outcome.PROMOTED.value}
    hooks.ledger.append("price", EntryKind.CONCLUDED, "ann", "well", "run1", facts)
    assert found(hooks, ended + timedelta(minutes=1)) == [], "what comes next has its time from then on"
    assert len(found(hooks, ended + timedelta(hours=3))) == 1


def test_a_run_that_died_keeps_no_schedule_from_being_told(tmp_path: Path, hooks: Hooks) -> None:
    declare(tmp_path, more='retrain: {schedule: "0 * * * *"}')
    begin(hooks, "run1")
    told = found(hooks, now() + timedelta(hours=3), {"manual__run1": "failed"})
    assert [one.kind for one in told] == [AlertKind.SCHEDULE_MISSED, AlertKind.RUN_BROKEN]


def test_a_run_that_is_silent_for_longer_than_it_may_take_is_named(tmp_path: Path, hooks: Hooks) -> None:
    declare(tmp_path, more='retrain: {schedule: "0 * * * *", timeout: 5h}\npromotion: {mode: approval, timeout: 2d}')
    begin(hooks, "run1")
    states = {"manual__run1": "running"}
    assert found(hooks, now() + timedelta(days=2, hours=5), states) == []
    (told,) = found(hooks, now() + timedelta(days=2, hours=6), states)
    assert (told.kind, told.name) == (AlertKind.SCHEDULE_MISSED, "schedule_missed/price/retraining")
    assert "waits for the run manual__run1, which had to be over by " in told.sentence


def test_a_slot_before_the_declaration_or_within_the_grace_is_not_missed(tmp_path: Path, hooks: Hooks) -> None:
    at_three = now().replace(hour=3, minute=0, second=0, microsecond=0)
    declare(tmp_path, since=at_three + timedelta(minutes=1), more='retrain: {schedule: "0 3 * * *"}')
    assert found(hooks, at_three + timedelta(hours=5)) == []
    assert found(hooks, at_three + DAY + timedelta(minutes=59)) == []
    assert len(found(hooks, at_three + DAY + timedelta(minutes=61))) == 1


def test_a_schedule_is_read_in_its_own_time_zone(tmp_path: Path, hooks: Hooks) -> None:
    at = now().replace(hour=18, minute=30, second=0, microsecond=0)
    declare(tmp_path, since=at - 2 * DAY, more='retrain: {schedule: "0 3 * * *", timezone: Asia/Tokyo}')
    (told,) = found(hooks, at + timedelta(hours=1))
    assert "18:00 UTC" in told.sentence


def test_looks_that_stopped_are_found(tmp_path: Path, hooks: Hooks) -> None:
    declare(tmp_path, more="monitor: {of: data}")
    assert found(hooks) == [], "without a champion nobody looks"
    hooks.ledger.append("price", EntryKind.DEPLOYED, "ann", "first", "run1", record(Change.PROMOTION, 1, 1))
    assert found(hooks, now() + timedelta(minutes=30)) == []
    assert [told.name for told in found(hooks, now() + timedelta(hours=3))] == ["schedule_missed/price/look"]


def test_a_champion_that_nobody_watches_grows_stale(tmp_path: Path, hooks: Hooks) -> None:
    declare(tmp_path, more="retrain: {max_age: 30d}")
    hooks.ledger.append("price", EntryKind.DEPLOYED, "ann", "first", "run1", record(Change.PROMOTION, 1, 1))
    assert found(hooks, now() + 29 * DAY) == []
    (told,) = found(hooks, now() + 31 * DAY)
    assert (told.kind, told.name) == (AlertKind.CHAMPION_STALE, "champion_stale/price/1")


def test_a_rollback_that_not_every_place_serves_is_found(hooks: Hooks) -> None:
    hooks.ledger.append("price", EntryKind.DEPLOYED, "ann", "first", "run1", record(Change.PROMOTION, 1, 2))
    hooks.ledger.append("price", EntryKind.DEPLOYED, "ann", "hurts", "run2", record(Change.ROLLBACK, 2, 1))
    later = now() + timedelta(minutes=10)
    assert found(hooks) == []
    (told,) = found(hooks, later)
    assert (told.kind, told.seq) == (AlertKind.ROLLBACK_FAILED, 2)
    hooks.deployments.confirm("price", 2, "ann", {})
    assert found(hooks, later) == []


def test_a_gateway_that_is_down_is_told_once_and_again_when_it_falls_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_receiver() as gateway, web_receiver() as receiver:
        monkeypatch.setattr(alert_conditions, "PAUSE_S", 0.0)
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", f'{{"conn_type": "http", "host": "{receiver.url}"}}')
        hooks = hooks_of(tmp_path, gateways=gateway.url, alerts_to="hook")
        at = now()
        for status in (200, 503, 503, 200, 503):
            gateway.status, at = status, at + timedelta(minutes=5)
            hooks.alerts.sweep(found(hooks, at), [], ToldDirectly(), at)
        assert [told["kind"] for told in receiver.taken] == ["gateway_dead", "gateway_dead"]
        assert [told["severity"] for told in receiver.taken] == ["critical", "critical"]
        assert gateway.url in receiver.taken[0]["sentence"]


def _spec_broken(home: Path, hooks: Hooks, is_wrong: bool) -> None:
    declare(home, more="gate: []" if is_wrong else "")


def _schedule_missed(home: Path, hooks: Hooks, is_wrong: bool) -> None:
    declare(home, more="" if not is_wrong else 'retrain: {schedule: "0 3 * * *"}')


def _champion_stale(home: Path, hooks: Hooks, is_wrong: bool) -> None:
    declare(home, more="retrain: {max_age: 1h}" if is_wrong else "")
    if not hooks.ledger.entries("price"):
        hooks.ledger.append("price", EntryKind.DEPLOYED, "ann", "first", "run1", record(Change.PROMOTION, 1, 1))


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (AlertKind.SPEC_BROKEN, _spec_broken),
        (AlertKind.SCHEDULE_MISSED, _schedule_missed),
        (AlertKind.CHAMPION_STALE, _champion_stale),
    ],
)
def test_what_lasts_is_told_once_and_again_when_it_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: AlertKind, make: Callable[[Path, Hooks, bool], None]
) -> None:
    with web_receiver() as receiver:
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", f'{{"conn_type": "http", "host": "{receiver.url}"}}')
        hooks, at = hooks_of(tmp_path, alerts_to="hook"), now() + timedelta(hours=2)
        for is_wrong in (True, True, True, False, True, True):
            make(tmp_path, hooks, is_wrong)
            at += timedelta(minutes=5)
            hooks.alerts.sweep(found(hooks, at), [], ToldDirectly(), at)
        assert [told["kind"] for told in receiver.taken] == [kind.value, kind.value]
        assert {told["model"] for told in receiver.taken} == {"price"}


def test_a_gateway_that_is_restarted_is_given_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    with web_receiver() as gateway:
        gateway.status = 503

        def restart(seconds: float) -> None:
            pauses.append(seconds)
            gateway.status = 200

        monkeypatch.setattr("understudy.hooks.conditions.conditions.time.sleep", restart)
        assert found(hooks_of(tmp_path, gateways=gateway.url)) == []
    assert pauses == [alert_conditions.PAUSE_S]
    assert alert_conditions.PAUSE_S >= 1


def test_a_run_that_fails_is_told_once_by_whoever_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_receiver() as receiver:
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", f'{{"conn_type": "http", "host": "{receiver.url}"}}')
        hooks, states = hooks_of(tmp_path, alerts_to="hook"), {"manual__run1": "failed"}
        begin(hooks, "run1")
        for _ in range(3):
            hooks.alerts.sweep(found(hooks, states=states), [], ToldDirectly(), datetime.now(timezone.utc))
        facts = {"outcome": Outcome.BROKEN.value}
        hooks.ledger.append("price", EntryKind.CONCLUDED, "ann", "cleared, and broke", "run1", facts)
        hooks.alerts.sweep(
            found(hooks, states=states), [], ToldDirectly(), datetime.now(timezone.utc) + timedelta(minutes=1)
        )
        assert [told["kind"] for told in receiver.taken] == ["run_broken"]
