"""What an answer is worth: Airflow hands on whatever was sent, so everything is checked here."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.contract.approval import Answered, Person, Question, approval, missing_approval, read_answer
from understudy.contract.declaration.promotion import PromotionSpec
from understudy.contract.words import Answer, PromotionMode

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ONE = PromotionSpec(mode=PromotionMode.APPROVAL)
TWO = PromotionSpec(mode=PromotionMode.APPROVAL, two_persons=True)


def question(person: int = 1, approvers: tuple[str, ...] = ()) -> Question:
    return Question(
        version=7,
        person=person,
        until=NOW + timedelta(days=3),
        remind_at=NOW + timedelta(days=1),
        approvers=approvers,
        judgement_sha256="j",
        dag_id="retrain__price",
        run_id="manual__1",
        task_id="approve",
    )


def event(option: str = "Approve", by: str | None = "ann", reason: Any = "looks good", **more: Any) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": {"reason": reason},
        "responded_at": NOW,
        "responded_by_user": {"id": by, "name": by.title()} if by else None,
        "timedout": by is None,
        **more,
    }


def answered(
    person: int = 1, by: str | None = "ann", answer: Answer = Answer.APPROVED, version: int = 7, judged: str = "j"
) -> Answered:
    who = Person(id=by, name=by.title()) if by else None
    return Answered(
        version=version, judgement_sha256=judged, person=person, answer=answer, by=who, at=NOW, reason="looks good"
    )


def read(told: dict[str, Any], asked: Question | None = None, *earlier: Answered) -> Answered:
    return read_answer(told, asked or question(), TWO, earlier, NOW)


@pytest.mark.parametrize(("option", "answer"), [("Approve", Answer.APPROVED), ("Reject", Answer.REJECTED)])
def test_an_answer_keeps_who_what_and_why(option: str, answer: Answer) -> None:
    told = read(event(option, reason="  the gain is real\n"))
    assert (told.answer, told.who, told.reason, told.at) == (answer, "Ann", "the gain is real", NOW)
    assert told.by == Person(id="ann", name="Ann")


def test_an_answer_is_as_old_as_airflow_says_and_by_an_id_where_there_is_no_name() -> None:
    told = read(event(responded_at=NOW - timedelta(hours=1), responded_by_user={"id": "ann", "name": None}))
    assert (told.at, told.who) == (NOW - timedelta(hours=1), "ann")
    assert read(event(responded_at=None)).at == NOW


def test_a_question_is_the_same_whenever_it_is_asked_and_another_one_about_another_judgement() -> None:
    asked = question()
    assert asked.is_same(asked.model_copy(update={"until": NOW, "remind_at": NOW}))
    assert not asked.is_same(asked.model_copy(update={"judgement_sha256": "k"}))
    assert not asked.is_same(asked.model_copy(update={"version": 8}))


@pytest.mark.parametrize(
    "told",
    [
        event("Reject", by=None, reason=None),
        event("Approve", by=None),
        event(by=None, responded_by_user={"id": "", "name": "ann"}),
        {"error": "time is up", "error_type": "timeout"},
        {},
    ],
    ids=["default", "an approval by nobody", "an empty id", "no default", "nothing"],
)
def test_no_answer_by_a_person_is_a_no(told: dict[str, Any]) -> None:
    read_it = read(told)
    assert (read_it.answer, read_it.who, read_it.reason) == (Answer.REJECTED, "nobody", "nobody answered within 3d")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (event(reason=""), "the reason is empty"),
        (event("Reject", reason=" \n"), "the reason is empty"),
        (event(reason="x" * 10_000), "the reason has 10,000 characters, 1,000 are allowed"),
        (event(reason={"value": "looks good"}), "the reason is no text"),
        (event(params_input=None), "the reason is empty"),
        (event(params_input=["looks good"]), "the reason is empty"),
        (event(chosen_options=[]), "neither Approve nor Reject was chosen"),
        (event(chosen_options=["Approve", "Reject"]), "neither Approve nor Reject was chosen"),
        (event("approve"), "neither Approve nor Reject was chosen"),
    ],
)
def test_what_does_not_count_is_void_and_says_why(told: dict[str, Any], why: str) -> None:
    assert (read(told).answer, read(told).reason) == (Answer.VOID, why)


def test_who_is_no_approver_cannot_answer() -> None:
    for option in ("Approve", "Reject"):
        told = read(event(option, by="eve"), question(approvers=("ann", "bob")))
        assert (told.answer, told.reason) == (Answer.VOID, "Eve is none of its approvers")
    assert read(event(by="bob"), question(approvers=("ann", "bob"))).answer is Answer.APPROVED


def test_nobody_approves_twice_whatever_they_are_called() -> None:
    second = event(responded_by_user={"id": "ann", "name": "Another Name"})
    told = read(second, question(person=2), answered())
    assert (told.answer, told.reason) == (
        Answer.VOID,
        "Another Name has approved already, and a second person is asked for",
    )
    assert read(event(by="bob"), question(person=2), answered()).answer is Answer.APPROVED
    assert read(event("Reject"), question(person=2), answered()).answer is Answer.REJECTED
    assert read(event(), question(person=2), answered(version=6)).answer is Answer.APPROVED
    assert read(event(), question(), answered(answer=Answer.VOID)).answer is Answer.APPROVED, "asked again"


# A busy machine makes examples slowly, which says nothing of them.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "chosen_options": st.none() | st.lists(st.sampled_from(["Approve", "Reject", "", "x"])),
            "params_input": st.none()
            | st.text(" ab\n")
            | st.dictionaries(st.sampled_from(["reason", "x"]), st.text(" ab\n") | st.none()),
            "responded_by_user": st.none() | st.fixed_dictionaries({}, optional={"id": st.text(" ab\n") | st.none()}),
        },
    )
)
def test_whatever_is_sent_only_a_person_with_a_reason_approves(told: dict[str, Any]) -> None:
    if read(told).answer is Answer.APPROVED:
        assert told["chosen_options"] == ["Approve"]
        assert told["params_input"]["reason"].strip()
        assert told["responded_by_user"]["id"]


@pytest.mark.parametrize(
    ("answers", "promotion", "missing"),
    [
        ([], PromotionSpec(), None),
        ([], ONE, "nobody has approved it"),
        ([answered()], ONE, None),
        ([answered(version=6)], ONE, "nobody has approved it"),
        ([answered(judged="another judgement")], ONE, "nobody has approved it"),
        ([answered(answer=Answer.VOID)], ONE, "nobody has approved it"),
        ([answered(answer=Answer.REJECTED)], ONE, "version 7 was rejected by Ann: looks good."),
        ([answered(answer=Answer.REJECTED), answered()], ONE, None),
        ([answered(), answered(answer=Answer.REJECTED)], ONE, "rejected by Ann"),
        ([answered(by=None, answer=Answer.REJECTED)], ONE, "version 7 was not approved"),
        ([answered()], TWO, "no second person has approved it"),
        ([answered(person=2, by="bob")], TWO, "nobody has approved it"),
        ([answered(), answered(person=2, by="bob")], TWO, None),
        ([answered(), answered(person=2)], TWO, "one has approved twice"),
    ],
)
def test_a_version_is_promoted_by_as_many_people_as_were_asked_for(
    answers: list[Answered], promotion: PromotionSpec, missing: str | None
) -> None:
    told = missing_approval(answers, 7, "j", promotion)
    assert told is None if missing is None else missing in str(told)


def test_a_promotion_says_who_approved_it() -> None:
    answers = [answered(answer=Answer.VOID), answered(), answered(person=2, by="bob")]
    assert approval(answers) == "approved by Ann: looks good; Bob: looks good"


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"approvers": ["ann"]}, "approvers is read where people are asked; add mode: approval"),
        ({"two_persons": True}, "two_persons is read where people are asked"),
        ({"mode": "approval", "approvers": ["ann"], "two_persons": True}, "two approvers at least"),
        ({"mode": "approval", "approvers": ["ann", "ann"]}, "names somebody twice"),
        ({"mode": "approval", "approvers": [" "]}, "an empty id"),
        ({"mode": "approval", "timeout": "2h", "remind_after": "2h"}, "must come before the timeout"),
        ({"mode": "approval", "timeout": "0s"}, "a minute at least"),
        ({"mode": "maybe"}, "'auto' or 'approval'"),
        ({"mode": "approval", "aprovers": []}, "Extra inputs are not permitted"),
    ],
)
def test_a_section_that_cannot_work_is_refused(section: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PromotionSpec.model_validate(section)


def test_people_are_reminded_halfway_unless_the_section_says_when() -> None:
    assert ONE.reminds_after == timedelta(days=1.5)
    section = {"mode": "approval", "timeout": "2h", "remind_after": "30m"}
    assert PromotionSpec.model_validate(section).reminds_after == timedelta(minutes=30)
    assert (PromotionSpec().persons, ONE.persons, TWO.persons) == (0, 1, 2)


@pytest.mark.parametrize("promotion", [PromotionSpec(), ONE, TWO])
def test_a_run_s_frozen_declaration_is_read_back(promotion: PromotionSpec) -> None:
    assert PromotionSpec.model_validate_json(promotion.model_dump_json()) == promotion
