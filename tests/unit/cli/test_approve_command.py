"""Answers from the command line, over a stand-in for Airflow's API."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.embedded.fake_airflow import FakeAirflow, airflow
from understudy.cli.app import app
from understudy.settings import settings

__all__ = ["airflow"]
ALL = ("GET", "/api/v2/dags/~/dagRuns/~/hitlDetails")
ONE = ("GET", "/api/v2/dags/retrain__tides/dagRuns/~/hitlDetails")
RUN = "manual__2026-03-01T12:00:00+00:00_x"
ANSWER = (
    "PATCH",
    "/api/v2/dags/retrain__tides/dagRuns/manual__2026-03-01T12%3A00%3A00%2B00%3A00_x"
    "/taskInstances/approve/-1/hitlDetails",
)


def asked(run: str = RUN, task: str = "approve", users: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "task_instance": {"dag_id": "retrain__tides", "dag_run_id": run, "task_id": task, "map_index": -1},
        "subject": "May version 7 of tides become champion?",
        "created_at": "2026-03-01T12:00:00Z",
        "assigned_users": [{"id": user, "name": user} for user in users],
    }


def page(*details: dict[str, Any], total: int | None = None) -> list[tuple[int, Any]]:
    return [(200, {"hitl_details": list(details), "total_entries": len(details) if total is None else total})]


@pytest.fixture(autouse=True)
def configured(airflow: FakeAirflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_URL", airflow.api.url)
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_TOKEN", "ann's own")
    settings.cache_clear()
    yield
    settings.cache_clear()


def type_in(*words: str, expect: int = 0) -> str:
    answered = CliRunner().invoke(app, list(words))
    assert answered.exit_code == expect, answered.output
    return " ".join(answered.output.split())


@pytest.mark.parametrize(("word", "option"), [("approve", "Approve"), ("reject", "Reject")])
def test_an_answer_is_sent_with_its_reason_as_whoever_the_token_belongs_to(
    airflow: FakeAirflow, word: str, option: str
) -> None:
    airflow.answers |= {ONE: page(asked()), ANSWER: [(200, {})]}
    told = json.loads(type_in(word, "tides", "--reason", " it gains ", "--json"))
    assert (told["answer"], told["reason"], told["run"]) == (option, "it gains", RUN)
    assert airflow.asked[-1] == (*ANSWER, {"chosen_options": [option], "params_input": {"reason": "it gains"}})
    assert ("POST", "/auth/token") not in {(method, path) for method, path, _ in airflow.asked}


def test_a_dry_run_answers_nothing(airflow: FakeAirflow) -> None:
    airflow.answers |= {ONE: page(asked()), ANSWER: [(200, {})]}
    assert "would be answered with Approve: it gains" in type_in(
        "approve", "tides", "--reason", "it gains", "--dry-run"
    )
    assert {method for method, *_ in airflow.asked} == {"GET"}


@pytest.mark.parametrize("reason", ["", "  ", "x" * 10_000])
def test_without_a_usable_reason_airflow_is_not_even_asked(airflow: FakeAirflow, reason: str) -> None:
    assert "--reason" in type_in("reject", "tides", "--reason", reason, expect=1)
    assert airflow.asked == []


@pytest.mark.parametrize(
    ("details", "answer", "told"),
    [
        ([], None, "No retraining of tides waits for an approval."),
        ([asked(task="somebody_else_s")], None, "No retraining of tides waits for an approval."),
        ([asked(), asked(run="backfill__1")], None, "--run is missing. Several wait: manual__2026-03-01"),
        ([asked()], (409, "already updated"), "Somebody has answered for tides meanwhile. `understudy ledger tides`"),
        (
            [asked()],
            (403, "User=eve (id=eve) is not a respondent"),
            "(HTTP 403): User=eve (id=eve) is not a respondent",
        ),
    ],
    ids=["nothing waits", "another's task", "two runs", "two people", "no approver"],
)
def test_what_cannot_be_answered_is_one_sentence(
    airflow: FakeAirflow, details: list[Any], answer: tuple[int, str] | None, told: str
) -> None:
    airflow.answers[ONE] = page(*details)
    if answer:
        airflow.answers[ANSWER] = [(answer[0], {"detail": answer[1]})]
    assert told in type_in("approve", "tides", "--reason", "it gains", expect=1)


def test_a_run_can_be_named(airflow: FakeAirflow) -> None:
    airflow.answers |= {ONE: page(asked(run="backfill__1"), asked()), ANSWER: [(200, {})]}
    told = json.loads(type_in("approve", "tides", "--reason", "it gains", "--run", RUN, "--json"))
    assert told["run"] == RUN
    assert "The run r2 of tides does not wait" in type_in(
        "approve", "tides", "--reason", "it gains", "--run", "r2", expect=1
    )


def test_all_pages_of_what_waits_are_listed(airflow: FakeAirflow) -> None:
    airflow.answers[ALL] = [
        *page(asked(users=("ann", "bob")), total=2),
        *page(asked(run="backfill__1", task="approve_second"), total=2),
    ]
    told = type_in("approvals")
    assert told.count("May version 7 of tides become champion?") == 2
    for part in ("answers ann, bob", "answers whoever may answer on its DAG", "(a second person)"):
        assert part in told
    airflow.answers[ALL] = page()
    assert "No retraining waits for an approval." in type_in("approvals")
    assert json.loads(type_in("approvals", "--json")) == []


def test_an_airflow_without_a_credential_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_TOKEN", "")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_USER", "ann")
    settings.cache_clear()
    assert "No account was given to log in" in type_in("approvals", expect=1)


def test_a_user_logs_in_with_a_password(airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TOKEN", ""), ("USER", "ann"), ("PASSWORD", "s3cret")):
        monkeypatch.setenv(f"AIRFLOW__UNDERSTUDY__AIRFLOW_{name}", value)
    settings.cache_clear()
    airflow.answers[ALL] = page()
    type_in("approvals")
    assert airflow.asked[0] == ("POST", "/auth/token", {"username": "ann", "password": "s3cret"})


def test_without_any_airflow_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__UNDERSTUDY__AIRFLOW_URL")
    settings.cache_clear()
    told = type_in("approve", "tides", "--reason", "it gains", expect=1)
    assert "The embedded Airflow is not running, and AIRFLOW__UNDERSTUDY__AIRFLOW_URL names no other" in told


def test_an_airflow_that_is_gone_is_told_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    assert "Check AIRFLOW__UNDERSTUDY__AIRFLOW_URL" in type_in("approvals", expect=1)
