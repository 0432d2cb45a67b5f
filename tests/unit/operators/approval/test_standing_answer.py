"""What a task is told of the answer that stands in Airflow, which is a stand-in here."""

import time
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest
from airflow.sdk.api.datamodels._generated import HITLDetailResponse, HITLUser

from tests.unit.operators.live_traffic import seen_by
from understudy.operators.approval import standing_answer
from understudy.operators.approval.standing_answer import StandingAnswerTrigger

TASK = "01a220aa-a2c7-7528-a1d6-79a7aba612b7"
AT = datetime(2026, 1, 2, tzinfo=timezone.utc)


def airflow_holds(monkeypatch: pytest.MonkeyPatch, **answer: Any) -> None:
    held = {"response_received": False, "responded_at": None, "chosen_options": None, **answer}

    def tell(ti_id: UUID) -> HITLDetailResponse:
        assert ti_id == UUID(TASK)
        return HITLDetailResponse(**held)

    monkeypatch.setattr(standing_answer, "get_hitl_detail_content_detail", tell)


def test_an_answer_is_told_as_airflow_tells_it_to_a_task_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    who = HITLUser(id="ann", name="Ann")
    said = {"chosen_options": ["Approve"], "params_input": {"reason": "it gains"}}
    airflow_holds(monkeypatch, response_received=True, responded_at=AT, responded_by_user=who, **said)
    monkeypatch.setattr("understudy.operators.settle.SETTLES_S", 0.3)
    began = time.monotonic()
    told = seen_by(StandingAnswerTrigger(TASK))
    assert told == {**said, "responded_at": AT, "responded_by_user": {"id": "ann", "name": "Ann"}}
    assert time.monotonic() - began >= 0.3, "the scheduler has to notice first that the try before is over"


def test_no_answer_is_told_as_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_holds(monkeypatch)
    assert seen_by(StandingAnswerTrigger(TASK)) == {}


def test_another_triggerer_makes_the_same_trigger() -> None:
    path, kwargs = StandingAnswerTrigger(TASK).serialize()
    assert path == f"{StandingAnswerTrigger.__module__}.StandingAnswerTrigger"
    assert StandingAnswerTrigger(**kwargs).ti_id == TASK
