"""Tasks tell at once what they decided, and never fail because nobody could be told."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.hooks.alerting.receivers import WebReceiver
from tests.unit.operators.known_runs import known_runs
from understudy.action_dags import build_rollback_dag
from understudy.contract.words import EntryKind, Outcome
from understudy.hooks.alerting.life import alert_life
from understudy.hooks.connect import connect
from understudy.operators.alerting import tell_failed_rollback, tell_now
from understudy.operators.sweep.sweep import SweepAlertsOperator
from understudy.settings import settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, web: WebReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ALERTS_TO", "hook")
    monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": web.url}))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def broken_run() -> None:
    facts = {"outcome": Outcome.BROKEN.value, "version": None, "champion": 3, "sentence": "train broke"}
    connect().ledger.append("price", EntryKind.CONCLUDED, "ann", "train broke", "run1", facts)


def rollback_context(**more: Any) -> Any:
    return {
        "dag_run": SimpleNamespace(conf={"model": "price", "reason": "hurts"}, triggering_user_name="ann"),
        "params": {"model": "price", "dry_run": False},
        "run_id": "manual__1",
        **more,
    }


def test_a_task_tells_and_the_next_one_does_not_tell_again(web: WebReceiver) -> None:
    broken_run()
    for _ in range(2):
        tell_now(connect())
    assert [told["kind"] for told in web.taken] == ["run_broken"]


def test_a_dead_receiver_and_a_dead_ledger_fail_no_task(
    web: WebReceiver, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    web.status = 500
    broken_run()
    tell_now(connect())
    assert "hook did not take the alert (HTTP 500)" in caplog.text
    (home / "ledger.db").write_bytes(b"this is no database" * 100)
    tell_now(connect())
    assert "alerts are left to the next sweep" in caplog.text


def test_whatever_else_goes_wrong_fails_no_task(caplog: pytest.LogCaptureFixture) -> None:
    broken_run()
    tell_now(connect())
    with connect().ledger.writing() as pen:
        pen.connection.exec_driver_sql('UPDATE alerts SET alert = \'{"of": "a later release"}\'')
        pen.connection.exec_driver_sql("UPDATE alert_deliveries SET sent_at = NULL")
    tell_now(connect())
    assert "alerts are left to the next sweep" in caplog.text


def test_a_rollback_that_failed_or_was_killed_is_told_once(web: WebReceiver) -> None:
    tell_failed_rollback(rollback_context(exception=RuntimeError("gateway 2 does not answer")))
    tell_failed_rollback(rollback_context())
    (told,) = web.taken
    assert (told["kind"], told["severity"], told["model"]) == ("rollback_failed", "critical", "price")
    assert "gateway 2 does not answer" in told["sentence"]


def test_a_rollback_whose_task_was_killed_has_no_exception_and_is_told(web: WebReceiver) -> None:
    tell_failed_rollback(rollback_context(params=None))
    assert "its task was killed" in web.taken[0]["sentence"]


def test_a_dry_run_that_fails_is_nobody_s_alert(web: WebReceiver) -> None:
    tell_failed_rollback(rollback_context(params={"model": "price", "dry_run": True}))
    assert web.taken == []


def test_the_rollback_form_tells_of_its_failure() -> None:
    task: Any = build_rollback_dag(["price"]).get_task("rollback")
    assert tell_failed_rollback in task.on_failure_callback


def test_the_sweep_tells_of_runs_that_airflow_killed(web: WebReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in ("killed", "deleted"):
        facts = {"dag_id": "retrain__price", "run_id": run}
        connect().ledger.append("price", EntryKind.TRIGGERED, "ann", "weekly", run, facts)

    airflow = known_runs(monkeypatch)
    airflow.add("retrain__price", "killed", "failed", {})
    sweep = SweepAlertsOperator(task_id="sweep")
    assert sweep.execute(airflow.context()) == {"found": 1, "sent": 1, "problems": []}
    assert sweep.execute(airflow.context())["found"] == 0
    assert [(told["kind"], told["seq"]) for told in web.taken] == [("run_broken", 1)]
    swept = alert_life(connect().ledger, datetime.now(timezone.utc)).swept_at
    assert swept is not None
    assert datetime.now(timezone.utc) - swept < timedelta(minutes=5)
