"""How many messages a model may send, what goes first, and what is told once. Time is given, never waited for."""

import threading
from datetime import timedelta

import pytest

from tests.unit.hooks.alerting.alert_desk import HOUR, now, refuse
from tests.unit.hooks.alerting.receivers import WebReceiver
from understudy.contract.alerts.failed_rollback import FailedRollback
from understudy.contract.words import EntryKind, Outcome, Verdict
from understudy.hooks.alerting import entry_alerts
from understudy.hooks.alerting.alerts import Alerts
from understudy.hooks.alerting.rollback_alert import rollback_alert
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import Settings


def test_many_sweepers_at_once_tell_each_alert_once(ledger: Ledger, chosen: Settings, web: WebReceiver) -> None:
    for number in range(5):
        refuse(ledger, f"run{number}", model=f"model{number}")
    start, failed = threading.Barrier(4), []

    def sweep() -> None:
        start.wait()
        try:
            Alerts(Ledger(chosen.ledger), chosen).tell()
        except Exception as problem:  # noqa: BLE001 - a thread's failure has to reach the test
            failed.append(problem)

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(told["model"] for told in web.taken) == [f"model{number}" for number in range(5)]


def test_a_hundred_refusals_in_a_minute_are_ten_messages(ledger: Ledger, chosen: Settings, web: WebReceiver) -> None:
    begin = now()
    for number in range(100):
        refuse(ledger, f"run{number}")
    alerts = Alerts(ledger, chosen)
    assert alerts.tell(begin).sent == 9
    assert alerts.tell(begin + timedelta(seconds=30)).sent == 0
    assert alerts.tell(begin + timedelta(minutes=2)).sent == 1
    assert "91 alerts were held back by the limit per hour: 91 refused" in web.taken[-1]["sentence"]
    assert alerts.tell(begin + 2 * HOUR).sent == 0
    assert alerts.outbox.deliveries(200, only_open=True) == []


def test_a_failed_rollback_goes_out_at_once_after_a_dozen_refusals(
    ledger: Ledger, chosen: Settings, web: WebReceiver
) -> None:
    begin, alerts = now(), Alerts(ledger, chosen)
    for number in range(12):
        refuse(ledger, f"run{number}")
    for minutes in (0, 2):
        alerts.tell(begin + timedelta(minutes=minutes))
    at = begin + timedelta(minutes=3)
    alerts.put([rollback_alert(chosen, FailedRollback(model="price", run="run99", at=at))])
    assert alerts.tell(at).sent == 1
    assert [told["kind"] for told in web.taken] == ["refused"] * 10 + ["rollback_failed"]


def test_what_is_critical_about_one_model_goes_before_what_is_minor_about_another(
    ledger: Ledger, chosen: Settings, web: WebReceiver
) -> None:
    begin, alerts = now(), Alerts(ledger, chosen)
    refuse(ledger, model="alpha")
    alerts.put([rollback_alert(chosen, FailedRollback(model="zeta", run="run99", at=begin))])
    alerts.tell(begin)
    assert [told["model"] for told in web.taken] == ["zeta", "alpha"]


def decline(ledger: Ledger, run: str) -> None:
    """Let a retraining end in doubt after two steps of a canary."""
    for _ in range(2):
        ledger.append("price", EntryKind.CANARIED, "ann", "a step", run, {"verdict": Verdict.INCONCLUSIVE.value})
    facts = {"outcome": Outcome.DECLINED.value, "version": 2, "champion": 1, "sentence": "too few rows"}
    ledger.append("price", EntryKind.CONCLUDED, "ann", "too few rows", run, facts)


def test_a_doubt_is_told_once_however_long_it_lasts(
    ledger: Ledger, chosen: Settings, web: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_alerts, "PAGE", 2)
    for number in range(8):
        decline(ledger, f"run{number}")
        Alerts(ledger, chosen).tell()
    assert [told["key"] for told in web.taken] == ["inconclusive/price/run/run0"]


def test_a_doubt_of_which_nobody_can_read_the_beginning_any_more_is_not_told_again(
    ledger: Ledger, chosen: Settings, web: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_alerts, "PAGE", 2)
    monkeypatch.setattr(entry_alerts, "LONGEST_STREAK", 10)
    for number in range(8):
        decline(ledger, f"run{number}")
        Alerts(ledger, chosen).tell()
    assert [told["key"] for told in web.taken] == ["inconclusive/price/run/run0"]
