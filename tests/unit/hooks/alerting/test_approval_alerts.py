"""A question that waits is told again before its time is up, and an answer that does not count at once."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.unit.hooks.alerting.receivers import MailReceiver, WebReceiver, mail_receiver, web_receiver
from understudy.contract.approval import TASKS, Answered, Person, Question
from understudy.contract.words import Answer
from understudy.hooks.alerting.direct_alerts import ToldDirectly
from understudy.hooks.approvals import ask, record_answer
from understudy.hooks.connect import Hooks
from understudy.settings import Settings

NOW = datetime.now(timezone.utc)
REMIND_AT, UNTIL = NOW + timedelta(minutes=30), NOW + timedelta(minutes=50)
PAGE = "https://airflow.example.com/dags/retrain__price/runs/manual__2026-01-01T00%3A00%3A00/tasks/approve/required_actions"


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def hooks(tmp_path: Path, web: WebReceiver, monkeypatch: pytest.MonkeyPatch) -> Hooks:
    monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": web.url}))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")
    return Hooks(Settings(UNDERSTUDY_HOME=tmp_path, models_dir=tmp_path / "models", alerts_to="hook"))


def put(hooks: Hooks, person: int = 1, model: str = "price", run: str = "run1") -> None:
    run_id = "manual__2026-01-01T00:00:00" if run == "run1" else run
    question = Question(
        version=7, person=person, until=UNTIL, remind_at=REMIND_AT, judgement_sha256="j" * 64,
        task_id=TASKS[person - 1], dag_id=f"retrain__{model}", run_id=run_id,
    )  # fmt: skip
    ask(hooks.ledger, model, run, question, "carl")


def answer(hooks: Hooks, given: Answer, reason: str) -> None:
    told = Answered(
        version=7, judgement_sha256="j" * 64, person=1, answer=given, by=Person(id="ann", name="Ann"), at=NOW,
        reason=reason,
    )  # fmt: skip
    record_answer(hooks.ledger, "price", "run1", told)


def sweep(hooks: Hooks, at: datetime) -> None:
    hooks.alerts.sweep([], [], ToldDirectly(), at)


def kinds(web: WebReceiver) -> list[str]:
    return [told["kind"] for told in web.taken]


def test_a_question_is_reminded_of_once_with_the_page_that_takes_the_answer(hooks: Hooks, web: WebReceiver) -> None:
    put(hooks)
    sweep(hooks, REMIND_AT - timedelta(seconds=1))
    assert kinds(web) == ["approval_waits"]
    for minutes in (0, 5, 10):
        sweep(hooks, REMIND_AT + timedelta(minutes=minutes))
    assert kinds(web) == ["approval_waits", "approval_reminder"]
    told = web.taken[1]
    assert (told["severity"], told["page"]) == ("warning", PAGE)
    assert told["runbook"] == "https://airflow.example.com/understudy/runbooks#approval-reminder"
    assert "and is rejected at" in told["sentence"]


def test_a_second_person_is_reminded_of_a_question_of_their_own(hooks: Hooks, web: WebReceiver) -> None:
    put(hooks)
    sweep(hooks, REMIND_AT)
    answer(hooks, Answer.APPROVED, "it gains")
    put(hooks, person=2)
    sweep(hooks, REMIND_AT + timedelta(minutes=5))
    told = [told["sentence"] for told in web.taken if told["kind"] == "approval_reminder"]
    assert ["for a second person" in sentence for sentence in told] == [False, True]


def test_of_two_models_that_one_schedule_retrains_both_questions_are_reminded_of(
    hooks: Hooks, web: WebReceiver
) -> None:
    put(hooks)
    put(hooks, model="demand")
    sweep(hooks, REMIND_AT)
    assert sorted(told["model"] for told in web.taken if told["kind"] == "approval_reminder") == ["demand", "price"]


def test_what_is_answered_or_over_is_not_reminded_of(hooks: Hooks, web: WebReceiver) -> None:
    put(hooks)
    for at in (datetime.now(timezone.utc) + timedelta(seconds=1), UNTIL):
        sweep(hooks, at)
    answer(hooks, Answer.REJECTED, "not now")
    sweep(hooks, REMIND_AT)
    assert kinds(web) == ["approval_waits"]


def test_an_answer_that_does_not_count_is_told_to_who_believes_that_it_does(hooks: Hooks, web: WebReceiver) -> None:
    put(hooks)
    put(hooks, person=2)
    put(hooks, run="run2")
    put(hooks, model="demand")
    answer(hooks, Answer.VOID, "the reason has none")
    for _ in range(2):
        hooks.alerts.tell(datetime.now(timezone.utc) + timedelta(seconds=1))
    assert sorted(kinds(web)) == ["answer_void", *["approval_waits"] * 4]
    told = next(told for told in web.taken if told["kind"] == "answer_void")
    assert told["sentence"] == "price: the answer of Ann does not count, so it is asked again: the reason has none"
    assert (told["severity"], told["page"]) == ("warning", PAGE), "not that of another person, run or model"


def test_an_answer_that_counts_is_nobody_s_alert(hooks: Hooks, web: WebReceiver) -> None:
    put(hooks)
    answer(hooks, Answer.APPROVED, "it gains")
    hooks.alerts.tell(datetime.now(timezone.utc) + timedelta(seconds=1))
    assert kinds(web) == ["approval_waits"]


def test_a_mail_says_that_its_link_takes_the_answer(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_receiver() as mail:
        assert isinstance(mail, MailReceiver)
        extra = {"from_email": "understudy@example.com", "disable_tls": True, "disable_ssl": True}
        fields = {"conn_type": "smtp", "host": "127.0.0.1", "port": mail.port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps(fields))
        mailing = Hooks(hooks.settings.model_copy(update={"alerts_mail_to": "oncall@example.com"}))
        put(mailing)
        sweep(mailing, REMIND_AT)
        letter = next(letter for letter in mail.taken if "approval reminder" in letter["Subject"])
        body = letter.get_payload(0).get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert f'<a href="{PAGE}">Answer</a>' in body
