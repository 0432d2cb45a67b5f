import pytest

from tests.fleet_ledger import bundle, record
from tests.unit.overview.demand import AT, MODEL, entry
from tests.unit.ui.question import RUN, question
from understudy.contract.approval import Answered, Person
from understudy.contract.release import Blessing, Deployment, LedgerEntry
from understudy.contract.words import Answer, Change, EntryKind
from understudy.overview.airflow_state import Airflow, Question
from understudy.ui.questions import Known, Request, requests
from understudy.workspace import run_key


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
    told = asked(question(), Known(entries=[blessed(2, 2)], record=now)).obstacle
    assert bool(told) is is_overtaken
    if is_overtaken:
        assert "judged against version 2 (epoch 2)" in told


def test_the_blessing_of_another_run_says_nothing_of_this_question() -> None:
    known = Known(entries=[blessed(2, 2), blessed(1, 1, run="another")], record=record(MODEL, 2, 2))
    assert asked(question(), known).obstacle == ""
    assert asked(question(), Known(record=record(MODEL, 2, 2))).obstacle == ""


def test_whoever_is_asked_is_told_what_would_refuse_the_version_whoever_approves_it() -> None:
    known = Known(entries=[blessed(2, 2)], record=record(MODEL, 2, 2))
    (found,) = requests(
        MODEL,
        Airflow(dags={}, questions=(question(),)),
        "ben",
        lambda _: True,
        known,
        refusal=lambda bundle: f"version {bundle.version} is denied",
    )
    assert found.obstacle == "version 3 is denied"


def test_whoever_is_asked_can_read_the_newest_evidence_of_the_run() -> None:
    told = [entry(kind, seq) for seq, kind in ((6, EntryKind.JUDGED), (7, EntryKind.REHEARSED), (8, EntryKind.REFUSED))]
    entries = [blessed(2, 2), *(one.model_copy(update={"run": run_key(RUN)}) for one in told)]
    found = asked(question(), Known(entries=entries, record=record(MODEL, 2, 2)))
    assert (found.card, found.version, found.champion) == (7, 3, 2)


@pytest.mark.parametrize(
    ("task_id", "by", "judgement", "is_known"),
    [
        ("approve_second", "ben", "a", True),
        ("approve_second", "ann", "a", False),
        ("approve_second", "ben", "b", False),  # another judgement
        ("approve", "ben", "a", False),  # asked again as the first person
    ],
)
def test_the_first_person_is_known_when_a_second_one_is_asked(
    task_id: str, by: str, judgement: str, *, is_known: bool
) -> None:
    given = Answered(
        version=3, judgement_sha256=judgement * 64, person=1, answer=Answer.APPROVED, by=Person(id=by, name=by), at=AT,
        reason="it is better",
    )  # fmt: skip
    told = entry(EntryKind.APPROVAL_ANSWERED, 6)
    facts = given.model_dump(mode="json")
    entries = [blessed(2, 2), told.model_copy(update={"run": run_key(RUN), "facts": facts})]
    found = asked(question(task_id), Known(entries=entries, record=record(MODEL, 2, 2), persons=2))
    assert found.has_approved is is_known


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
