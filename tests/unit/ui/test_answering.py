from typing import Any

import pytest

from tests.unit.ui.question import question
from understudy.contract.approval import APPROVE, REJECT
from understudy.ui.answering import foretell
from understudy.ui.questions import Request


def asked(**others: Any) -> Request:
    told = {"may": True, "reason_param": "reason", "version": 3, "champion": 2, **others}
    return Request(question=question(), **told)


@pytest.mark.parametrize(
    ("option", "others", "says"),
    [
        (APPROVE, {}, "Version 3 becomes champion in place of version 2."),
        (APPROVE, {"champion": None}, "Version 3 becomes champion, the first one."),
        (APPROVE, {"version": None}, "The challenger becomes champion in place of version 2."),
        (APPROVE, {"is_last": False}, "a second person is asked. Version 3 is not promoted by you alone."),
        (REJECT, {}, "Version 3 is rejected, and the run ends: version 2 goes on."),
        (REJECT, {"champion": None}, "nothing serves, as before"),
        (REJECT, {"obstacle": "It is held.", "has_approved": True}, "Version 3 is rejected"),
    ],
)
def test_what_an_answer_would_come_to_is_said(option: str, others: dict[str, Any], says: str) -> None:
    foretold = foretell(asked(**others), option)
    assert says in foretold.sentence
    assert not foretold.is_refused


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"may": False, "why_not": "Only ann may answer this."}, "Only ann may answer this."),
        ({"obstacle": "Version 2 is locked."}, "promotes nothing. Version 2 is locked."),
        ({"obstacle": "Version 2 is locked.", "is_last": False}, "promotes nothing. Version 2 is locked."),
        ({"has_approved": True}, "your answer would not count"),
    ],
)
def test_an_approval_that_would_be_refused_is_told_from_one_that_would_not(others: dict[str, Any], says: str) -> None:
    foretold = foretell(asked(**others), APPROVE)
    assert says in foretold.sentence
    assert foretold.is_refused
