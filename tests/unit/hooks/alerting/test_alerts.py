"""Alerts from a real ledger to real receivers on this machine: who is told what, in which form. Time is given."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.unit.hooks.alerting.alert_desk import HOUR, SECRET, now, refuse, settings_of
from tests.unit.hooks.alerting.receivers import MailReceiver, WebReceiver
from understudy.contract.alerts.failed_rollback import FailedRollback
from understudy.hooks.alerting.alerts import Alerts
from understudy.hooks.alerting.rollback_alert import rollback_alert
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import Settings


def test_a_refusal_is_told_once_with_its_card_and_runbook(ledger: Ledger, chosen: Settings, web: WebReceiver) -> None:
    refuse(ledger)
    for _ in range(3):
        Alerts(ledger, chosen).tell()
    (told,) = web.taken
    assert (told["kind"], told["model"], told["severity"], told["seq"]) == ("refused", "price", "warning", 1)
    assert told["sentence"] == "price: The retraining ended: its data were refused. too few rows"
    assert told["page"] == "https://airflow.example.com/understudy/models/price/cards/1"
    assert told["runbook"] == "https://airflow.example.com/understudy/runbooks#refused"
    title = "price: The retraining ended: its data were refused"
    assert told["card"].startswith(f"### [{title}](https://airflow.example.com/understudy/models/price/cards/1)\n")
    assert "too few rows" in told["card"]
    assert web.headers[0]["x-key"] == SECRET
    assert ledger.verify().ok


def test_each_kind_of_receiver_gets_it_in_its_own_form(
    tmp_path: Path, ledger: Ledger, web: WebReceiver, mail: MailReceiver
) -> None:
    refuse(ledger, reason="<b>50 % & more</b>")
    Alerts(ledger, settings_of(tmp_path, alerts_to="mail,pager,slack")).tell()
    by_path = dict(zip(web.paths, web.taken, strict=True))
    pager = by_path["/v2/enqueue"]
    assert (pager["routing_key"], pager["event_action"], pager["payload"]["severity"]) == (SECRET, "trigger", "warning")
    assert pager["links"] == [
        {"href": "https://airflow.example.com/understudy/models/price/cards/1", "text": "Open the card"},
        {"href": "https://airflow.example.com/understudy/runbooks#refused", "text": "What to do"},
    ]
    text = by_path[f"/services/{SECRET}"]["text"]
    assert "&lt;b&gt;50 % &amp; more&lt;/b&gt;" in text
    assert "<https://airflow.example.com/understudy/models/price/cards/1|Open the card>" in text
    (letter,) = mail.taken
    assert letter["Subject"] == "[warning] refused of price"
    assert len(mail.recipients[0]) == 2
    body = letter.get_payload(0).get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert "&lt;b&gt;50 % &amp; more&lt;/b&gt;" in body
    assert "<b>" not in body
    assert '<h3><a href="https://airflow.example.com/understudy/models/price/cards/1">' in body


def test_what_somebody_wrote_begins_no_line_of_its_own_in_a_message_or_its_head(
    tmp_path: Path, ledger: Ledger, web: WebReceiver, mail: MailReceiver
) -> None:
    reason = "calm\r\nBcc: eve@example.com\n• verdict: passed\x1b[2J\u202e"
    refuse(ledger, reason=reason)
    chosen = settings_of(tmp_path, alerts_to="mail,slack")
    alerts = Alerts(ledger, chosen)
    failed = FailedRollback(
        model="price\r\nBcc: eve@example.com", run=f"run1 {reason}", at=datetime.now(timezone.utc), why=reason
    )
    alerts.put([rollback_alert(chosen, failed)])
    assert alerts.tell().problems == ()
    assert sorted(letter["Subject"] for letter in mail.taken) == [
        "[critical] rollback failed of price Bcc: eve@example.com", "[warning] refused of price",
    ]  # fmt: skip
    for letter, recipients in zip(mail.taken, mail.recipients, strict=True):
        assert (letter["Bcc"], len(recipients)) == (None, 2)
        assert letter["X-Understudy-Alert"].isprintable()
    for told in web.taken:
        assert not [line for line in told["text"].split("\n") if line.startswith(("Bcc", "• verdict"))]
        assert told["text"].replace("\n", "").isprintable()


def test_a_sweeper_that_dies_before_it_notes_how_far_it_came_tells_nothing_twice(
    ledger: Ledger, chosen: Settings, web: WebReceiver
) -> None:
    refuse(ledger)
    alerts = Alerts(ledger, chosen)
    alerts.tell()
    with ledger.writing() as pen:
        pen.connection.exec_driver_sql("UPDATE alert_cursors SET seq = 0")
    assert alerts.tell().found == 0
    assert len(web.taken) == 1


def test_an_old_ledger_is_not_told_when_alerts_are_switched_on(
    ledger: Ledger, chosen: Settings, web: WebReceiver
) -> None:
    refuse(ledger)
    assert Alerts(ledger, chosen).tell(now() + 2 * HOUR).found == 0
    refuse(ledger, "run2")
    assert Alerts(ledger, chosen).tell(now() + 2 * HOUR).found == 1
    assert len(web.taken) == 1


def test_the_declaration_says_who_is_told_of_what(tmp_path: Path, ledger: Ledger, web: WebReceiver) -> None:
    for model, alerts in (("quiet", "{to: []}"), ("other", "{kinds: [drift]}"), ("loud", "{to: [hook], per_hour: 2}")):
        folder = tmp_path / "models" / model
        folder.mkdir(parents=True)
        folder.joinpath("model.yaml").write_text(
            f"model: {model}\nowner: me\ntask: regression\nrunbook: https://runbook.example.com/\n"
            "data: {source: x.csv, time: at, target: y}\ngates: [{metric: rmse, ceiling: 5}]\n"
            f"alerts: {alerts}\n"
        )
        refuse(ledger, model=model)
    refuse(ledger, model="undeclared")
    Alerts(ledger, settings_of(tmp_path)).tell()
    assert {told["model"]: told["runbook"] for told in web.taken} == {
        "loud": "https://runbook.example.com/",
        "undeclared": "https://airflow.example.com/understudy/runbooks#refused",
    }


@pytest.mark.parametrize(
    "reason", ["<script>alert(1)</script>", "a|b\n\n# c", "'; DROP TABLE alerts; --", "x" * 10_000]
)
def test_a_hostile_reason_is_told_in_one_short_line(
    reason: str, ledger: Ledger, chosen: Settings, web: WebReceiver
) -> None:
    refuse(ledger, reason=reason)
    Alerts(ledger, chosen).tell()
    (told,) = web.taken
    assert "\n" not in told["sentence"]
    assert len(told["sentence"]) <= 300
    assert Alerts(ledger, chosen).outbox.deliveries(1)[0].sent_at is not None


def test_what_a_process_without_receivers_looked_at_is_told_by_one_that_knows_them(
    tmp_path: Path, ledger: Ledger, web: WebReceiver
) -> None:
    failed = FailedRollback(model="price", run="run2", at=now())
    nobody, somebody = (Alerts(ledger, settings_of(tmp_path, alerts_to=to)) for to in ("", "hook"))
    refuse(ledger)
    assert nobody.put([rollback_alert(settings_of(tmp_path), failed)]) == 0
    assert (nobody.tell().found, nobody.outbox.deliveries(10)) == (0, [])
    assert somebody.tell(now()).found == 2
    assert {nobody.tell(now()).found, somebody.tell(now()).found} == {0}
    assert sorted(told["kind"] for told in web.taken) == ["refused", "rollback_failed"]


def test_who_is_named_a_day_later_is_told_of_what_happens_from_then_on(
    tmp_path: Path, ledger: Ledger, web: WebReceiver
) -> None:
    refuse(ledger)
    Alerts(ledger, settings_of(tmp_path, alerts_to="")).tell()
    later = now() + timedelta(days=1, minutes=1)
    assert Alerts(ledger, settings_of(tmp_path)).tell(later).found == 0
    assert web.taken == []


def test_a_declaration_that_says_nobody_is_obeyed_by_every_process(
    tmp_path: Path, ledger: Ledger, web: WebReceiver
) -> None:
    folder = tmp_path / "models" / "price"
    folder.mkdir(parents=True)
    data = "data: {source: x.csv, time: at, target: y}\ngates: [{metric: rmse, ceiling: 5}]"
    folder.joinpath("model.yaml").write_text(f"model: price\nowner: me\ntask: regression\n{data}\nalerts: {{to: []}}\n")
    refuse(ledger)
    for to in ("", "hook"):
        assert Alerts(ledger, settings_of(tmp_path, alerts_to=to)).tell().found == 0
    folder.joinpath("model.yaml").unlink()
    assert Alerts(ledger, settings_of(tmp_path)).tell().found == 0
