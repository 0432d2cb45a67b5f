import pytest

from tests.fleet_ledger import bundle, record
from tests.unit.ui.test_glance import AT, MODEL, entry
from understudy.contract.release import Blessing, Deployment, LedgerEntry
from understudy.contract.words import Change, EntryKind
from understudy.ui.airflow_state import Airflow, Question
from understudy.ui.questions import Known, Request, requests
from understudy.workspace import run_key

RUN = "manual__2026-03-01T03:00:00+00:00"


def question(task_id: str = "approve", assigned: tuple[str, ...] = ()) -> Question:
    return Question(
        dag_id=f"retrain__{MODEL}", run_id=RUN, task_id=task_id, map_index=-1, subject="May it?",
        options=("Approve", "Reject"), params={"reason": ""}, assigned=assigned, since=AT,
    )  # fmt: skip


def asked(one: Question, known: Known | None = None, user: str = "ben", *, may: bool = True) -> Request:
    (found,) = requests(MODEL, Airflow(dags={}, questions=(one,)), user, lambda _: may, known or Known())
    return found


def blessed(over: int | None, since: int, run: str = RUN) -> LedgerEntry:
    blessing = Blessing(
        challenger=bundle(MODEL, 3), champion_version=over, champion_epoch=since, judgement_sha256="a" * 64,
        rubber_stamped=over is None,
    )  # fmt: skip
    told = entry(EntryKind.BLESSED, 5, **blessing.model_dump(mode="json"))
    return told.model_copy(update={"run": run_key(run)})


def test_only_those_who_are_asked_may_answer() -> None:
    mine, theirs = asked(question(assigned=("ben",))), asked(question(assigned=("ben",)), user="ann")
    assert (mine.may, theirs.may, asked(question(), may=False).may) == (True, False, False)
    assert "ben" in theirs.why_not
    assert mine.reason_param == "reason"


@pytest.mark.parametrize(
    ("now", "is_overtaken"),
    [
        (record(MODEL, 2, 2), False),
        (record(MODEL, 2, 3, champion_since=2, change=Change.MIRROR_STARTED, mirror=bundle(MODEL, 3)), False),
        (record(MODEL, 1, 3, change=Change.ROLLBACK, previous=None), True),
        (record(MODEL, 2, 4, change=Change.ROLLBACK), True),  # back again: its reign is another one
        (None, True),
    ],
)
def test_whoever_is_asked_is_told_that_the_champion_changed_meanwhile(
    now: Deployment | None, *, is_overtaken: bool
) -> None:
    told = asked(question(), Known(entries=[blessed(2, 2)], record=now)).overtaken
    assert bool(told) is is_overtaken
    if is_overtaken:
        assert "judged against version 2 (epoch 2)" in told
        assert "An approval would be refused." in told


def test_the_blessing_of_another_run_says_nothing_of_this_question() -> None:
    known = Known(entries=[blessed(2, 2), blessed(1, 1, run="another")], record=record(MODEL, 2, 2))
    assert asked(question(), known).overtaken == ""
    assert asked(question(), Known(record=record(MODEL, 2, 2))).overtaken == ""


@pytest.mark.parametrize(
    ("persons", "task_id", "acts"),
    [
        (1, "approve", {"Approve": "promote"}),
        (2, "approve", {}),
        (2, "approve_second", {"Approve": "promote"}),
        (0, "approve", {"Approve": "promote"}),  # declared as automatic since the run began
    ],
)
def test_only_the_last_approval_is_followed_to_the_promotion(persons: int, task_id: str, acts: dict[str, str]) -> None:
    assert asked(question(task_id), Known(persons=persons)).acts == acts
