"""How people are asked, and what becomes of their answer."""

from datetime import timedelta

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from tests.unit.operators.approval.approval_desk import (
    BLESSED,
    NOW,
    RUN,
    Desk,
    champion,
    declare,
    operator,
    serve,
    told,
)
from understudy.contract.by import By
from understudy.contract.words import Change, EntryKind
from understudy.hooks.approvals import waiting
from understudy.hooks.connect import connect
from understudy.operators.decisions import HELD_KEY, LOCAL_RUN, REFUSAL_KEY, REJECTED_KEY
from understudy.operators.errors import ApprovalRefused, PromotionHeld, PromotionRefused
from understudy.operators.handover import Evaluated


def test_the_question_is_the_decision_card_and_leaves_no_worker_waiting(desk: Desk) -> None:
    declare(approvers=["ann", "4"], timeout="2h", remind_after="30m")
    parked = desk.ask()
    (shown,) = desk.shown
    assert (shown["subject"], shown["options"], shown["defaults"]) == (
        "May version 7 of price become champion?",
        ["Approve", "Reject"],
        ["Reject"],
    )
    assert shown["assigned_users"] == [{"id": "ann", "name": "ann"}, {"id": "4", "name": "4"}]
    for part in ("makes version 7 champion", "roc\\_auc", "passed every gate", "Both need a reason"):
        assert part in shown["body"]
    assert shown["params"]["reason"]["value"] is None, "what the run was started with is no reason to approve"
    assert shown["params"]["reason"]["schema"]["minLength"] == 1
    assert timedelta(hours=1, minutes=59) < parked.timeout <= timedelta(hours=2)
    (asked,) = told(EntryKind.APPROVAL_ASKED)
    assert (asked.actor, asked.run, asked.facts["version"], asked.facts["approvers"]) == ("carl", RUN, 7, ["ann", "4"])


def test_what_is_approved_is_promoted_and_the_record_says_by_whom(desk: Desk) -> None:
    desk.ask()
    assert desk.answer()["answer"] == "approved"
    (answered,) = told(EntryKind.APPROVAL_ANSWERED)
    assert (answered.actor, answered.reason, answered.run) == ("Ann", "it gains", RUN)
    assert champion() == 3
    desk.promote()
    assert champion() == 7
    assert told(EntryKind.DEPLOYED)[-1].reason == "weekly; approved by Ann: it gains"


@pytest.mark.parametrize(
    ("option", "by", "reason", "sentence"),
    [
        ("Reject", "ann", "<b>not</b> on a Friday", "version 7 was rejected by Ann: <b>not</b> on a Friday"),
        ("Reject", None, None, "version 7 was not approved: nobody answered within 3d"),
    ],
)
def test_a_no_skips_the_promotion_and_is_in_the_ledger_first(
    desk: Desk, option: str, by: str | None, reason: str | None, sentence: str
) -> None:
    desk.ask()
    with pytest.raises(ApprovalRefused) as refused:
        desk.answer(option, by, reason)
    assert isinstance(refused.value, AirflowSkipException)
    assert (str(refused.value), desk.pushed[REJECTED_KEY]) == (sentence, sentence)
    assert [entry.facts["answer"] for entry in told(EntryKind.APPROVAL_ANSWERED)] == ["rejected"]
    # However the promotion comes to run: somebody may mark a task as a success.
    with pytest.raises(PromotionRefused, match=sentence):
        desk.promote()
    assert champion() == 3


def test_without_an_answer_nothing_is_promoted_whoever_marks_the_task_as_done(desk: Desk) -> None:
    with pytest.raises(PromotionRefused, match="asks for an approval, and nobody has approved it"):
        desk.promote()
    assert champion() == 3


def test_an_approval_that_comes_after_the_champion_changed_is_stale(desk: Desk) -> None:
    desk.ask()
    serve(5, 3)
    desk.answer()
    with pytest.raises(PromotionRefused, match=r"was judged against version 3 .* version 5 .* is stale"):
        desk.promote()
    assert champion() == 5
    assert "stale" in desk.pushed[REFUSAL_KEY]


def test_an_answer_without_a_reason_is_recorded_and_asked_for_again_until_the_same_time(desk: Desk) -> None:
    first = desk.ask()
    with pytest.raises(TaskAwaitingInput) as again:
        desk.answer(reason="")
    assert len(desk.shown) == 2
    assert again.value.timeout < first.timeout
    assert len(told(EntryKind.APPROVAL_ASKED)) == 1
    (void,) = told(EntryKind.APPROVAL_ANSWERED)
    assert (void.facts["answer"], void.actor, void.reason) == ("void", "Ann", "the reason is empty")
    assert len(waiting(connect().ledger, NOW)) == 1
    desk.answer()
    assert waiting(connect().ledger, NOW) == []
    desk.promote()
    assert champion() == 7


def test_two_persons_are_two_persons(desk: Desk) -> None:
    declare(two_persons=True)
    desk.ask()
    desk.answer()
    with pytest.raises(PromotionRefused, match="no second person has approved it"):
        desk.promote()
    desk.ask(person=2)
    assert "**Ann** has approved it (it gains); a second person is asked for." in desk.shown[-1]["body"]
    with pytest.raises(TaskAwaitingInput):
        desk.answer(person=2)
    assert told(EntryKind.APPROVAL_ANSWERED)[-1].reason == "Ann has approved already, and a second person is asked for"
    desk.answer(by="bob", person=2, reason="agreed")
    desk.promote()
    assert told(EntryKind.DEPLOYED)[-1].reason == "weekly; approved by Ann: it gains; Bob: agreed"


def test_a_held_model_asks_nobody(desk: Desk) -> None:
    connect().ledger.append("price", EntryKind.HELD, "dora", "stocktaking")
    with pytest.raises(PromotionHeld, match="held by dora"):
        operator().execute(desk.context())
    assert (desk.shown, told(EntryKind.APPROVAL_ASKED)) == ([], [])
    assert "held by dora" in desk.pushed[HELD_KEY]


def test_a_hold_that_comes_while_people_think_keeps_an_approved_version_back(desk: Desk) -> None:
    desk.ask()
    connect().ledger.append("price", EntryKind.HELD, "dora", "stocktaking")
    desk.answer()
    with pytest.raises(PromotionHeld, match="held by dora"):
        desk.promote()
    assert champion() == 3


def test_a_canary_gives_its_callers_back_before_people_are_asked(desk: Desk) -> None:
    deployments, challenger = connect().deployments, Evaluated.model_validate(BLESSED).bundle
    current = deployments.current("price")
    assert current is not None
    beside = {"epoch": 3, "change": Change.CANARY_STARTED, "canary": challenger, "canary_share": 0.5}
    deployments.deploy(current.model_copy(update=beside), 2, By(actor="carl", reason="canary", run=RUN))
    desk.ask()
    now = deployments.current("price")
    assert now is not None
    assert (now.change, now.canary, now.champion_since) == (Change.CANARY_ENDED, None, 2)
    desk.answer()
    desk.promote()
    assert champion() == 7


def test_a_run_without_a_scheduler_has_nobody_to_ask(desk: Desk) -> None:
    with pytest.raises(PromotionRefused, match="a run without a scheduler has nobody to ask; retrain price"):
        operator().execute(desk.context(user=LOCAL_RUN))
    assert desk.shown == []
    assert "nobody to ask" in desk.pushed[REFUSAL_KEY]


def test_who_waits_is_reminded_of_until_the_run_is_over(desk: Desk) -> None:
    desk.ask()
    ledger = connect().ledger
    (one,) = waiting(ledger, NOW, "price")
    assert (one.is_late(NOW), one.is_late(NOW + timedelta(days=2))) == (False, True)
    assert "version 7 of price waits for an approval since" in one.sentence
    assert waiting(ledger, NOW, "demand") == []
    assert waiting(ledger, NOW + timedelta(days=5)) == [], "its run died long ago"
    ledger.append("price", EntryKind.CONCLUDED, "carl", "the task was failed by hand", RUN, {"outcome": "broken"})
    assert waiting(ledger, NOW) == []
