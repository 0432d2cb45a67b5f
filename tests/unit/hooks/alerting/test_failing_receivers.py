"""Receivers that are down, odd or killed: they get it later, and keep nobody else from being told."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hooks.alerting.alert_desk import HOUR, SECRET, connection, now, refuse, settings_of
from tests.unit.hooks.alerting.receivers import MailReceiver, WebReceiver
from understudy.hooks.alerting import alerts as alerts_module
from understudy.hooks.alerting.alerts import Alerts
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import Settings


def test_a_receiver_that_was_down_gets_it_once_it_is_back(ledger: Ledger, chosen: Settings, web: WebReceiver) -> None:
    web.status, begin = 503, now()
    refuse(ledger)
    told = Alerts(ledger, chosen).tell(begin)
    assert (told.sent, len(told.problems)) == (0, 1)
    assert "HTTP 503" in told.problems[0]
    web.status = 200
    assert Alerts(ledger, chosen).tell(begin + timedelta(seconds=20)).sent == 0, "it is given half a minute"
    assert Alerts(ledger, chosen).tell(begin + timedelta(seconds=31)).sent == 1
    assert Alerts(ledger, chosen).tell(begin + HOUR).sent == 0
    assert len(web.taken) == 1


def test_the_pause_between_tries_grows_and_is_never_longer_than_an_hour(
    ledger: Ledger, chosen: Settings, web: WebReceiver
) -> None:
    web.status, at = 500, now()
    refuse(ledger)
    alerts = Alerts(ledger, chosen)
    alerts.tell(at)
    pauses = []
    for _ in range(10):
        (waiting,) = alerts.outbox.deliveries(10, only_open=True)
        pauses.append((waiting.next_at - at).total_seconds())
        at = waiting.next_at
        alerts.tell(at)
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_dead_receiver_does_not_keep_another_from_being_told(
    tmp_path: Path, ledger: Ledger, web: WebReceiver, mail: MailReceiver
) -> None:
    mail.refuses = True
    refuse(ledger)
    told = Alerts(ledger, settings_of(tmp_path, alerts_to="mail,hook,nobody,database")).tell()
    assert len(web.taken) == told.sent == 1
    assert len(told.problems) == 3
    assert any("'nobody'" in problem and "AIRFLOW_CONN_NOBODY" in problem for problem in told.problems)
    assert any("'postgres'" in problem for problem in told.problems)


def test_a_sender_that_dies_while_it_sends_is_replaced_later(
    ledger: Ledger, chosen: Settings, web: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    begin = now()
    refuse(ledger)
    with monkeypatch.context() as patch:
        patch.setattr(alerts_module, "send", die)
        with pytest.raises(KeyboardInterrupt):
            Alerts(ledger, chosen).tell(begin)
    assert Alerts(ledger, chosen).tell(begin + timedelta(minutes=4)).sent == 0, "it may still be at it"
    assert Alerts(ledger, chosen).tell(begin + timedelta(minutes=6)).sent == 1
    assert len(web.taken) == 1


def test_no_secret_is_in_a_problem_the_outbox_or_the_log(
    tmp_path: Path, ledger: Ledger, web: WebReceiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(monkeypatch, "gone", conn_type="slackwebhook", password=f"http://127.0.0.1:1/{SECRET}")
    connection(monkeypatch, "odd", conn_type="http", host=f"ftp://me:{SECRET}@example.com")
    refuse(ledger)
    with caplog.at_level(logging.INFO):
        told = Alerts(ledger, settings_of(tmp_path, alerts_to="gone,odd,slack")).tell()
    assert (len(told.problems), told.sent) == (2, 1)
    assert SECRET not in str(told) + caplog.text
    assert SECRET.encode() not in (tmp_path / "ledger.db").read_bytes()


@pytest.mark.parametrize("extra", [{"timeout": None}, {"retry_limit": None}, {"timeout": "soon"}, {"retry_limit": [5]}])
def test_a_mail_server_with_an_odd_field_keeps_nobody_else_from_being_told(
    extra: dict[str, Any], tmp_path: Path, ledger: Ledger, web: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"from_email": "understudy@example.com", **extra}
    connection(monkeypatch, "aaa", conn_type="smtp", host="127.0.0.1", port=1, extra=fields)
    refuse(ledger)
    told = Alerts(ledger, settings_of(tmp_path, alerts_to="aaa,hook")).tell()
    assert (told.sent, len(web.taken), len(told.problems)) == (1, 1, 1)
    assert "'aaa', which alerts go to, cannot be used as it is set up (" in told.problems[0]


@pytest.mark.parametrize("conn_type", ["http", "smtp"])
def test_an_extra_that_is_a_list_keeps_nobody_else_from_being_told(
    conn_type: str, tmp_path: Path, ledger: Ledger, web: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(monkeypatch, "aaa", conn_type=conn_type, host=web.url, extra='["X-Key"]')
    refuse(ledger)
    told = Alerts(ledger, settings_of(tmp_path, alerts_to="aaa,hook")).tell()
    assert (told.sent, len(web.taken), len(told.problems)) == (1, 1, 1)


def test_an_address_over_two_lines_keeps_nobody_else_from_being_told(
    tmp_path: Path, ledger: Ledger, web: WebReceiver, mail: MailReceiver
) -> None:
    refuse(ledger)
    odd = settings_of(tmp_path, alerts_to="mail,hook", alerts_mail_to="oncall@example.com\nBcc: eve@example.com")
    told = Alerts(ledger, odd).tell()
    assert (told.sent, len(web.taken), len(told.problems), mail.taken) == (1, 1, 1, [])


def test_a_connection_that_cannot_be_read_is_not_said_to_be_unknown(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TYPO", '{"conn_type": "http", ')
    refuse(ledger)
    (problem,) = Alerts(ledger, settings_of(tmp_path, alerts_to="typo")).tell().problems
    assert problem.endswith("'typo', which alerts go to, cannot be read; correct the JSON in AIRFLOW_CONN_TYPO.")
