"""An approval whose task is tried again, by Airflow or by a person: no answer is lost, and none is forgotten."""

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput

from tests.unit.operators.approval.approval_desk import Desk, champion, operator, told
from understudy.contract.words import EntryKind
from understudy.hooks.errors import LedgerUnavailable
from understudy.operators.errors import ApprovalRefused


def test_a_person_s_answer_stands_however_often_the_task_is_run(desk: Desk) -> None:
    desk.ask()
    with pytest.raises(ApprovalRefused):
        desk.answer("Reject", reason="too risky")
    with pytest.raises(ApprovalRefused, match="too risky"):
        operator().execute(desk.context())
    assert len(desk.shown) == 1
    assert len(told(EntryKind.APPROVAL_ANSWERED)) == 1


def test_nobody_s_answer_can_be_asked_for_again(desk: Desk) -> None:
    desk.ask()
    with pytest.raises(ApprovalRefused):
        desk.answer("Reject", by=None)
    parked = desk.ask()
    assert parked.timeout > timedelta(days=2)
    assert [entry.facts["person"] for entry in told(EntryKind.APPROVAL_ASKED)] == [1, 1]
    desk.answer()
    desk.promote()
    assert champion() == 7


def test_an_answer_that_the_ledger_could_not_take_is_not_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ask()

    def down(*_: Any) -> None:
        raise LedgerUnavailable("ledger.db", "cannot be written", "Free some space.")

    with monkeypatch.context() as broken:
        broken.setattr("understudy.operators.approval.approval.record_answer", down)
        with pytest.raises(LedgerUnavailable):
            desk.answer()
    assert told(EntryKind.APPROVAL_ANSWERED) == []
    assert desk.try_again(desk.answered)["by"] == {"id": "ann", "name": "Ann"}
    assert len(desk.shown) == 1, "asked anew, Airflow would have forgotten the answer"
    assert [entry.actor for entry in told(EntryKind.APPROVAL_ANSWERED)] == ["Ann"]


def test_a_task_that_was_tried_again_leaves_the_question_as_it_stands(desk: Desk) -> None:
    first = desk.ask()
    with pytest.raises(TaskAwaitingInput) as again:
        desk.try_again({})
    assert (len(told(EntryKind.APPROVAL_ASKED)), len(desk.shown)) == (1, 1)
    assert again.value.timeout <= first.timeout
    with pytest.raises(TaskAwaitingInput):
        desk.answer(reason="")
    with pytest.raises(TaskAwaitingInput):
        desk.try_again({})
    assert len(desk.shown) == 2, "once, and once more after an answer that did not count"


def test_a_task_that_died_before_it_showed_its_question_shows_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(**_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as died:
        died.setattr("understudy.operators.approval.approval.upsert_hitl_detail", killed)
        with pytest.raises(KeyboardInterrupt):
            desk.ask()
    assert (len(told(EntryKind.APPROVAL_ASKED)), len(desk.shown)) == (1, 0)
    desk.ask()
    assert (len(told(EntryKind.APPROVAL_ASKED)), len(desk.shown)) == (1, 1)
