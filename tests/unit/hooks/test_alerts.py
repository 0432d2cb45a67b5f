"""Alerts from a real ledger to real receivers on this machine; time is given, never waited for."""

import json
import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hooks.receivers import MailReceiver, WebReceiver, mail_receiver, web_receiver
from understudy.contract.failed_rollback import FailedRollback
from understudy.contract.words import EntryKind, Outcome, Verdict
from understudy.hooks import alerts as alerts_module
from understudy.hooks import entry_alerts
from understudy.hooks.alerts import Alerts
from understudy.hooks.ledger import Ledger
from understudy.hooks.rollback_alert import rollback_alert
from understudy.settings import Settings

HOUR = timedelta(hours=1)
SECRET = "token-of-the-webhook"


def now() -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=1)


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


def connection(patch: pytest.MonkeyPatch, conn_id: str, **fields: Any) -> None:
    patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))


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


def settings_of(home: Path, **more: Any) -> Settings:
    given = {"alerts_to": "hook", "alerts_mail_to": "oncall@example.com, lead@example.com", **more}
    return Settings(UNDERSTUDY_HOME=home, models_dir=home / "models", **given)


@pytest.fixture
def ledger(chosen: Settings) -> Ledger:
    return Ledger(chosen.ledger)


def refuse(ledger: Ledger, run: str = "run1", reason: str = "too few rows", model: str = "price") -> None:
    facts = {"outcome": Outcome.DATA_REFUSED.value, "version": None, "champion": 3, "sentence": reason}
    ledger.append(model, EntryKind.CONCLUDED, "ann", reason, run, facts)


def test_a_refusal_is_told_once_with_its_card_and_runbook(ledger: Ledger, chosen: Settings, web: WebReceiver) -> None:
    refuse(ledger)
    for _ in range(3):
        Alerts(ledger, chosen).tell()
    (told,) = web.taken
    assert (told["kind"], told["model"], told["severity"], told["seq"]) == ("refused", "price", "warning", 1)
    assert told["sentence"] == "price: The retraining ended: its data were refused. too few rows"
    assert told["page"] == "https://airflow.example.com/understudy/models/price/cards/1"
    assert told["runbook"] == "https://airflow.example.com/understudy/runbooks#refused"
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
