"""While the ledger is down, what is critical is told past it, once to each receiver, and not again once it is back."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.contract.ledger_entries import record
from tests.unit.hooks.alerting.receivers import WebReceiver, web_receiver
from tests.unit.operators.known_runs import KnownRuns, known_runs
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import connect
from understudy.hooks.errors import LedgerDamaged, LedgerUnavailable
from understudy.operators.alerting import TOLD_KEY, tell_failed_rollback
from understudy.operators.sweep.failed_rollbacks import ROLLBACK
from understudy.operators.sweep.sweep import SweepAlertsOperator
from understudy.settings import settings

ASKED = {"model": "price", "reason": "hurts"}


@pytest.fixture
def receivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[WebReceiver, WebReceiver]]:
    with web_receiver() as first, web_receiver() as second:
        monkeypatch.setenv("AIRFLOW_CONN_FIRST", json.dumps({"conn_type": "http", "host": first.url}))
        monkeypatch.setenv("AIRFLOW_CONN_SECOND", json.dumps({"conn_type": "http", "host": second.url}))
        yield first, second


@pytest.fixture
def first(receivers: tuple[WebReceiver, WebReceiver]) -> WebReceiver:
    return receivers[0]


@pytest.fixture
def second(receivers: tuple[WebReceiver, WebReceiver]) -> WebReceiver:
    return receivers[1]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ALERTS_TO", "first,second")
    settings.cache_clear()
    connect().ledger.append("price", EntryKind.DEPLOYED, "ann", "first", "run1", record(Change.PROMOTION, 1, 2))
    yield tmp_path / "ledger.db"
    settings.cache_clear()


@pytest.fixture
def airflow(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> KnownRuns:
    return known_runs(monkeypatch)


@contextmanager
def down(ledger: Path) -> Iterator[None]:
    kept = ledger.with_suffix(".kept")
    shutil.move(ledger, kept)
    ledger.write_bytes(b"this is no database" * 100)
    try:
        yield
    finally:
        kept.replace(ledger)


def sweep(airflow: KnownRuns) -> None:
    SweepAlertsOperator(task_id="sweep").execute(airflow.context())


def kinds(receiver: WebReceiver) -> list[str]:
    return [told["kind"] for told in receiver.taken]


def fail_rollback(airflow: KnownRuns) -> None:
    failed = {
        "dag_run": SimpleNamespace(conf=ASKED, triggering_user_name="ann"),
        "run_id": "manual__1",
        "exception": RuntimeError("no ledger"),
    }
    tell_failed_rollback({**failed, "ti": airflow})  # type: ignore[typeddict-item]
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf=ASKED)
    airflow.xcoms[ROLLBACK, "manual__1", ROLLBACK, TOLD_KEY] = airflow.pushed.pop(TOLD_KEY, None)


def test_a_rollback_that_fails_with_the_ledger_is_told_at_once_and_once(
    ledger: Path, airflow: KnownRuns, first: WebReceiver, second: WebReceiver
) -> None:
    second.status = 503
    with down(ledger):
        fail_rollback(airflow)
    assert (kinds(first), kinds(second)) == (["rollback_failed"], [])
    second.status = 200
    for _ in range(2):
        sweep(airflow)
    assert (kinds(first), kinds(second)) == (["rollback_failed"], ["rollback_failed"])
    assert first.taken[0]["key"] == second.taken[0]["key"]
    assert connect().alerts.outbox.deliveries(10, only_open=True) == []


def test_where_airflow_takes_no_note_it_is_told_all_the_same(
    ledger: Path, airflow: KnownRuns, first: WebReceiver
) -> None:
    lost: Any = {
        "dag_run": SimpleNamespace(conf=ASKED, triggering_user_name="ann"),
        "run_id": "manual__1",
        "ti": airflow,
    }
    with down(ledger):
        tell_failed_rollback(lost)
    assert (kinds(first), airflow.pushed) == (["rollback_failed"], {})


def test_a_ledger_that_is_down_is_told_by_the_first_sweep_that_fails(
    ledger: Path, airflow: KnownRuns, first: WebReceiver, second: WebReceiver
) -> None:
    second.status = 503
    with down(ledger):
        for _ in range(3):
            with pytest.raises(LedgerUnavailable):
                sweep(airflow)
            airflow.begin()
        second.status = 200
        with pytest.raises(LedgerUnavailable):
            sweep(airflow)
        airflow.begin()
    assert (kinds(first), kinds(second)) == (["ledger_unreadable"], ["ledger_unreadable"])
    told = first.taken[0]
    assert (told["severity"], told["runbook"]) == ("critical", "docs/runbooks.md#ledger-unreadable")
    assert "is not a database; nothing was changed. Restore it from its last backup." in told["sentence"]
    assert told["key"] == second.taken[0]["key"]

    sweep(airflow)
    airflow.begin()
    with down(ledger), pytest.raises(LedgerUnavailable):
        sweep(airflow)
    assert kinds(first) == ["ledger_unreadable"] * 2, "it was back in between"


def test_a_rollback_that_is_killed_while_the_ledger_is_down_is_told_by_the_sweep_and_not_again(
    ledger: Path, airflow: KnownRuns, first: WebReceiver
) -> None:
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf=ASKED)
    with down(ledger):
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                sweep(airflow)
            airflow.begin()
        assert kinds(first) == ["ledger_unreadable", "rollback_failed"]
    sweep(airflow)
    assert kinds(first) == ["ledger_unreadable", "rollback_failed"]


def test_an_entry_that_cannot_be_what_was_written_is_told(ledger: Path, airflow: KnownRuns, first: WebReceiver) -> None:
    with connect().ledger.writing() as pen:
        for trigger in pen.connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            pen.connection.exec_driver_sql(f"DROP TRIGGER {trigger[0]}")
        pen.connection.exec_driver_sql("UPDATE ledger SET facts = '{'")
    with pytest.raises(LedgerDamaged):
        sweep(airflow)
    assert kinds(first) == ["ledger_broken"]
    assert "Run `understudy ledger --verify`" in first.taken[0]["sentence"]
