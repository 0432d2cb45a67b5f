"""How people are asked, and what becomes of their answer; the ledger is real, Airflow's supervisor a stand-in."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput, TaskDeferred

from tests.unit.operators.test_conclude import evaluated
from understudy.contract.release import Blessing, Deployment
from understudy.contract.words import Change, EntryKind, Verdict
from understudy.hooks.approvals import waiting
from understudy.hooks.connect import connect
from understudy.hooks.errors import LedgerUnavailable
from understudy.operators import AskApprovalOperator, PromoteOperator
from understudy.operators.decisions import HELD_KEY, LOCAL_RUN, REFUSAL_KEY, REJECTED_KEY
from understudy.operators.errors import ApprovalRefused, PromotionHeld, PromotionRefused
from understudy.operators.handover import Evaluated
from understudy.settings import settings
from understudy.workspace import run_key

BLESSED = evaluated(Verdict.PASSED, True)
RUN = run_key("manual__1")
NOW = datetime.now(timezone.utc)


class Desk:
    """A run's task, and what Airflow shows of it to people."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.pushed: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}
        self.at = NOW
        self.answered: dict[str, Any] = {}

    def context(self, task: str = "approve", user: str = "carl") -> Any:
        ti = SimpleNamespace(
            id="ti-1",
            dag_id="retrain__price",
            run_id="manual__1",
            xcom_push=lambda key, value: self.pushed.update({key: value}),
        )
        return {
            "ti": ti,
            "run_id": "manual__1",
            "dag_run": SimpleNamespace(run_type="manual", triggering_user_name=user, run_after=NOW),
            "params": {"reason": "weekly"},
            "task_state_store": SimpleNamespace(
                get=lambda key: self.kept.get(f"{task}.{key}"),
                set=lambda key, value: self.kept.update({f"{task}.{key}": value}),
            ),
        }

    def ask(self, person: int = 1, **context: Any) -> TaskAwaitingInput:
        with pytest.raises(TaskAwaitingInput) as parked:
            operator(person).execute(self.context(operator(person).task_id, **context))
        return parked.value

    def answer(self, option: str = "Approve", by: str | None = "ann", reason: Any = "it gains", person: int = 1) -> Any:
        self.at += timedelta(seconds=1)
        self.answered = {
            "chosen_options": [option],
            "params_input": {"reason": reason},
            "responded_at": self.at,
            "responded_by_user": {"id": by, "name": by.title()} if by else None,
        }
        return self.answer_again(person)

    def answer_again(self, person: int = 1) -> Any:
        """Tell what was answered last, as Airflow does until the question is put anew."""
        return operator(person).execute_complete(self.context(operator(person).task_id), self.answered)

    def try_again(self, told: dict[str, Any]) -> Any:
        """Try a task again whose question stands there: it asks Airflow, which tells it this, and goes on."""
        with pytest.raises(TaskDeferred) as asks:
            operator().execute(self.context())
        assert asks.value.trigger.serialize()[1] == {"ti_id": "ti-1"}
        return getattr(operator(), asks.value.method_name)(self.context(), told)

    def promote(self) -> Any:
        return PromoteOperator(task_id="promote", model="price", evaluated=BLESSED).execute(self.context("promote"))


@pytest.fixture
def desk(price_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk()
    monkeypatch.setattr("understudy.operators.approval.upsert_hitl_detail", lambda **detail: desk.shown.append(detail))
    declare()
    serve(3, 2)
    told = Evaluated.model_validate(BLESSED)
    blessing = Blessing(
        challenger=told.bundle,
        champion_version=3,
        champion_epoch=2,
        judgement_sha256=told.judgement.digest(),
        rubber_stamped=False,
    )
    ledger = connect().ledger
    facts = {"version": 7, "judgement": told.judgement.model_dump(mode="json"), "verdict": "passed"}
    ledger.append("price", EntryKind.JUDGED, "carl", "all gates passed", RUN, facts)
    ledger.append("price", EntryKind.BLESSED, "carl", "all gates passed", RUN, blessing.model_dump(mode="json"))
    yield desk
    assert connect().ledger.verify().ok


def declare(**promotion: Any) -> None:
    spec = {
        "model": "price", "owner": "market-ml", "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}], "promotion": {"mode": "approval", **promotion},
    }  # fmt: skip
    path = settings().models_dir / "price" / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")


def serve(version: int, epoch: int) -> None:
    deployments = connect().deployments
    bundle = Evaluated.model_validate(BLESSED).bundle.model_copy(
        update={"version": version, "model_sha256": f"b{version}"}
    )
    found = deployments.current("price")
    for number in range(found.epoch + 1 if found else 1, epoch + 1):
        record = Deployment(model="price", epoch=number, change=Change.PROMOTION, champion=bundle, previous=None)
        deployments.deploy(record, number - 1, "dora", "by hand")


def operator(person: int = 1) -> AskApprovalOperator:
    task = {1: "approve", 2: "approve_second"}[person]
    return AskApprovalOperator(task_id=task, model="price", evaluated=BLESSED, person=person)


def told(kind: EntryKind) -> list[Any]:
    return connect().ledger.entries("price", [kind])


def champion() -> int | None:
    current = connect().deployments.current("price")
    return current.champion.version if current else None


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
        broken.setattr("understudy.operators.approval.record_answer", down)
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
        died.setattr("understudy.operators.approval.upsert_hitl_detail", killed)
        with pytest.raises(KeyboardInterrupt):
            desk.ask()
    assert (len(told(EntryKind.APPROVAL_ASKED)), len(desk.shown)) == (1, 0)
    desk.ask()
    assert (len(told(EntryKind.APPROVAL_ASKED)), len(desk.shown)) == (1, 1)


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
    deployments.deploy(current.model_copy(update=beside), 2, "carl", "canary", RUN)
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
