"""Receivers on this machine, the settings that name them, and a ledger to tell of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.hooks.alerting.alert_desk import SECRET, connection, settings_of
from tests.unit.hooks.alerting.receivers import MailReceiver, WebReceiver, mail_receiver, web_receiver
from understudy.hooks.alerting import alerts as alerts_module
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import Settings


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


@pytest.fixture
def chosen(tmp_path: Path, web: WebReceiver, mail: MailReceiver, monkeypatch: pytest.MonkeyPatch) -> Settings:
    connection(monkeypatch, "hook", conn_type="http", host=f"{web.url}/in", extra={"X-Key": SECRET})
    connection(monkeypatch, "slack", conn_type="slackwebhook", host=f"{web.url}/services", password=SECRET)
    connection(monkeypatch, "pager", conn_type="pagerduty_events", host=web.url, password=SECRET)
    connection(
        monkeypatch,
        "mail",
        conn_type="smtp",
        host="127.0.0.1",
        port=mail.port,
        extra={"from_email": "understudy@example.com", "disable_tls": True, "disable_ssl": True, "retry_limit": 0},
    )
    connection(monkeypatch, "database", conn_type="postgres", host="x")
    monkeypatch.setattr(alerts_module, "PASS_S", float("inf"))  # whatever else this machine does
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")
    return settings_of(tmp_path)


@pytest.fixture
def ledger(chosen: Settings) -> Ledger:
    return Ledger(chosen.ledger)
