"""Questions before a promotion on a real ledger: asked once, answered in their own run, and waiting until they are."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from understudy.contract.approval import Answered, Person, Question
from understudy.contract.words import Answer, EntryKind
from understudy.hooks.approvals import answers, ask, record_answer, waiting
from understudy.hooks.ledger.ledger import Ledger

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
UNTIL = NOW + timedelta(hours=8)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def question(**changes: Any) -> Question:
    facts: dict[str, Any] = {
        "version": 7,
        "person": 1,
        "until": UNTIL,
        "remind_at": NOW + timedelta(hours=7),
        "judgement_sha256": "j" * 64,
        "task_id": "approve",
        "dag_id": "retrain__price",
        "run_id": "manual__1",
    }
    return Question(**{**facts, **changes})


def put(ledger: Ledger, model: str = "price", run: str = "run1", **changes: Any) -> Question:
    return ask(ledger, model, run, question(**changes), "carl")


def answer(
    ledger: Ledger, given: Answer = Answer.APPROVED, model: str = "price", run: str = "run1", **changes: Any
) -> Answered:
    facts: dict[str, Any] = {"version": 7, "judgement_sha256": "j" * 64, "person": 1, "at": NOW, "reason": "it gains"}
    told = Answered(**{**facts, "answer": given, "by": Person(id="ann", name="Ann"), **changes})
    record_answer(ledger, model, run, told)
    return told


def waits(ledger: Ledger, at: datetime = NOW, model: str | None = None) -> list[tuple[str, str | None, int]]:
    return [(one.model, one.run, one.question.person) for one in waiting(ledger, at, model)]


def test_a_question_is_written_with_all_that_it_asks(ledger: Ledger) -> None:
    asked = put(ledger, approvers=("ann", "bob"))
    (entry,) = ledger.entries()
    assert (entry.model, entry.kind, entry.run, entry.actor) == ("price", EntryKind.APPROVAL_ASKED, "run1", "carl")
    assert entry.reason == "version 7 passed and waits for an approval until 2026-01-02 11:04 UTC"
    assert entry.facts == asked.model_dump(mode="json") == question(approvers=("ann", "bob")).model_dump(mode="json")


def test_an_answer_is_written_once_under_the_name_of_who_gave_it(ledger: Ledger) -> None:
    told = answer(ledger)
    answer(ledger)
    (entry,) = ledger.entries()
    assert (entry.model, entry.kind, entry.run) == ("price", EntryKind.APPROVAL_ANSWERED, "run1")
    assert (entry.actor, entry.reason, entry.facts) == ("Ann", "it gains", told.model_dump(mode="json"))
    later = answer(ledger, Answer.REJECTED, at=NOW + timedelta(seconds=1))
    assert answers(ledger, "price", "run1") == [told, later]


def test_what_was_answered_in_another_run_or_of_another_model_is_no_answer_here(ledger: Ledger) -> None:
    """Runs that a schedule begins at the same moment have the same name in all models."""
    put(ledger)
    put(ledger, "demand")
    answer(ledger, run="run2")
    answer(ledger, model="demand")
    assert answers(ledger, "price", "run1") == []
    assert waits(ledger) == [("price", "run1", 1)]


def test_a_question_that_waits_keeps_the_time_that_it_has(ledger: Ledger) -> None:
    first = put(ledger)
    later: dict[str, Any] = {"until": UNTIL + timedelta(hours=1)}
    for model, run in (("price", "run2"), ("demand", "run1")):
        assert put(ledger, model, run, **later).until == UNTIL + timedelta(hours=1)
    assert put(ledger, **later) == first
    answer(ledger, Answer.VOID)
    assert put(ledger, **later) == first, "an answer that does not count leaves it open"
    assert len(ledger.entries("price", [EntryKind.APPROVAL_ASKED], "run1")) == 1


@pytest.mark.parametrize("other", [{"version": 8}, {"judgement_sha256": "k" * 64}, {"person": 2}])
def test_another_question_is_asked_beside_it(ledger: Ledger, other: dict[str, Any]) -> None:
    put(ledger)
    later = UNTIL + timedelta(hours=1)
    assert put(ledger, until=later, **other).until == later
    assert len(ledger.entries("price", [EntryKind.APPROVAL_ASKED], "run1")) == 2


def test_what_nobody_answered_in_time_can_be_asked_again_and_again(ledger: Ledger) -> None:
    for hours in (0, 1, 2):
        until = UNTIL + timedelta(hours=hours)
        assert put(ledger, until=until).until == until
        assert waits(ledger) == [("price", "run1", 1)]
        answer(ledger, Answer.REJECTED, by=None, at=until)
        assert waits(ledger) == []


def test_what_waits_is_told_oldest_first_until_it_is_answered(ledger: Ledger) -> None:
    put(ledger, run="run2")
    put(ledger, "demand")
    put(ledger)
    put(ledger, person=2)
    put(ledger, run="run2", person=2)
    put(ledger, "demand", version=8)
    assert waits(ledger) == [
        ("price", "run2", 1),
        ("price", "run1", 1),
        ("price", "run1", 2),
        ("price", "run2", 2),
        ("demand", "run1", 1),
    ], "a version that is judged anew is asked about anew"
    assert waits(ledger, model="demand") == [("demand", "run1", 1)]
    answer(ledger, person=2)
    answer(ledger, Answer.VOID)
    assert waits(ledger, model="price") == [("price", "run2", 1), ("price", "run1", 1), ("price", "run2", 2)]
    answer(ledger, at=NOW + timedelta(seconds=1))
    assert waits(ledger, model="price") == [("price", "run2", 1), ("price", "run2", 2)]


def test_a_question_that_is_over_by_a_day_is_forgotten(ledger: Ledger) -> None:
    put(ledger)
    last = UNTIL + timedelta(days=1)
    assert waits(ledger, last - timedelta(seconds=1)) == [("price", "run1", 1)]
    assert waits(ledger, last) == []


def test_only_the_end_of_its_own_run_ends_a_question(ledger: Ledger) -> None:
    ledger.append("price", EntryKind.CONCLUDED, "carl", "an attempt before", "run1")
    put(ledger)
    ledger.append("price", EntryKind.CONCLUDED, "carl", "another run", "run2")
    ledger.append("demand", EntryKind.CONCLUDED, "carl", "another model", "run1")
    ledger.append("price", EntryKind.TRAINED, "carl", "no end", "run1")
    assert waits(ledger) == [("price", "run1", 1)]
    ledger.append("price", EntryKind.CONCLUDED, "carl", "the end", "run1")
    assert waits(ledger) == []


def test_who_waits_says_since_when_until_when_and_how_to_answer(ledger: Ledger) -> None:
    put(ledger)
    put(ledger, person=2)
    first, second = waiting(ledger, NOW)
    assert first.sentence == (
        f"version 7 of price waits for an approval since {first.at:%Y-%m-%d %H:%M} UTC and is rejected at "
        "2026-01-02 11:04 UTC; answer with `understudy approve price` or `reject`, or in Airflow under Required Actions"
    )
    assert second.sentence.startswith("version 7 of price waits for a second person for an approval since")
    remind_at = first.question.remind_at
    assert [first.is_late(at) for at in (remind_at - timedelta(seconds=1), remind_at)] == [False, True]
