"""A real Alertmanager tells a real receiver, with the configuration that its container writes."""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest

from tests.integration.alertmanager_process import alertmanager, wait
from tests.unit.hooks.alerting.receivers import MailReceiver, WebReceiver, mail_receiver, web_receiver
from tests.unit.monitoring.alertmanager import needs_alertmanager

pytestmark = needs_alertmanager


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


def fire(client: httpx.Client, name: str, severity: str) -> None:
    alert = {
        "labels": {"alertname": name, "severity": severity},
        "annotations": {"summary": "An entry was <changed>.", "runbook": "docs/runbooks.md#ledger-broken"},
        "startsAt": datetime.now(timezone.utc).isoformat(),
    }
    assert client.post("/api/v2/alerts", json=[alert]).is_success


def test_what_is_critical_reaches_every_receiver_with_a_link_to_what_to_do(
    tmp_path: Path, web: WebReceiver, mail: MailReceiver
) -> None:
    settings = {
        "ALERTMANAGER_SLACK_URL": f"{web.url}/slack",
        "ALERTMANAGER_WEBHOOK_URL": f"{web.url}/hook",
        "ALERTMANAGER_PAGERDUTY_KEY": "0123456789",
        "ALERTMANAGER_PAGERDUTY_URL": f"{web.url}/pager",
        "ALERTMANAGER_MAIL_TO": "oncall@example.com",
        "ALERTMANAGER_MAIL_FROM": "understudy@example.com",
        "ALERTMANAGER_MAIL_SERVER": f"127.0.0.1:{mail.port}",
        "ALERTMANAGER_MAIL_TLS": "false",
        "STACK_AIRFLOW_PORT": "8181",
    }
    with alertmanager(tmp_path, **settings) as client:
        fire(client, "LedgerBroken", "critical")
        wait(lambda: {"/slack", "/hook", "/pager"} <= set(web.paths) and bool(mail.taken))
    told = dict(zip(web.paths, web.taken, strict=True))
    link = "http://localhost:8181/understudy/runbooks#ledger-broken"
    (shown,) = told["/slack"]["attachments"]
    assert shown["title"] == "[critical] LedgerBroken"
    assert "An entry was <changed>." in shown["text"].replace("&lt;", "<").replace("&gt;", ">")
    assert link in shown["text"]
    assert told["/hook"]["commonLabels"]["alertname"] == "LedgerBroken"
    assert (told["/pager"]["routing_key"], told["/pager"]["payload"]["severity"]) == ("0123456789", "critical")
    (letter,) = mail.taken
    assert letter["Subject"] == "[critical] LedgerBroken"
    assert link in letter.as_string()


def test_a_watchdog_gets_the_sign_of_life_and_nothing_else(tmp_path: Path, web: WebReceiver) -> None:
    settings = {"ALERTMANAGER_HEARTBEAT_URL": f"{web.url}/life", "ALERTMANAGER_WEBHOOK_URL": f"{web.url}/hook"}
    with alertmanager(tmp_path, **settings) as client:
        fire(client, "LedgerBroken", "critical")
        fire(client, "AlertingWorks", "info")
        wait(lambda: len(web.taken) == 2)
    told = {path: body["commonLabels"]["alertname"] for path, body in zip(web.paths, web.taken, strict=True)}
    assert told == {"/life": "AlertingWorks", "/hook": "LedgerBroken"}
