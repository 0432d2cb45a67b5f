from datetime import timedelta
from typing import Any

import pytest

from tests.fleet_ledger import bundle, look
from tests.unit.overview.demand import AT, MODEL, confirmed, dags, deployed, entry, seen
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.words import Change, EntryKind, Verdict
from understudy.overview.airflow_state import Airflow, DagState, Question, Queued
from understudy.overview.glance import Health, Recorded, glance


def test_a_model_that_serves_and_was_confirmed_is_well() -> None:
    shown = seen(deployed(), confirmed())
    assert (shown.health, shown.owner, shown.troubles) == (Health.WELL, "market-ml", ())
    assert shown.champion is not None
    assert (shown.champion.version, shown.champion.by, shown.champion.why) == (2, "ann", "because")
    assert (shown.champion.previous, shown.champion.is_confirmed) == (1, True)


def test_a_declared_model_without_a_champion_is_empty_and_no_trouble() -> None:
    assert seen().health is Health.EMPTY


def test_nothing_that_was_not_confirmed_is_well() -> None:
    assert seen(deployed()).health is Health.ATTENTION
    assert seen(deployed(epoch=3), confirmed(epoch=2)).health is Health.ATTENTION


def test_a_rehearsal_leaves_the_champion_since_when_it_began() -> None:
    founding = deployed(seq=1, epoch=2)
    beside = deployed(
        seq=9, epoch=3, champion_since=2, change=Change.MIRROR_STARTED, mirror=bundle(MODEL, 3), mirror_share=0.2
    )
    shown = seen(beside, confirmed(), founding=founding)
    assert shown.champion is not None
    assert shown.champion.since == founding.at
    assert (shown.health, shown.beside) == (Health.WORKING, "version 3 rehearses on 20% of the requests")
    assert shown.beside_since == beside.at


def test_a_probation_is_told_from_a_rehearsal() -> None:
    shown = seen(deployed(mirror=bundle(MODEL, 1), mirror_share=1.0), confirmed())
    assert shown.beside == "on probation: version 1 answers along, unseen"


def test_a_canary_says_how_many_callers_it_answers() -> None:
    told = deployed(epoch=3, champion_since=2, change=Change.CANARY_STARTED, canary=bundle(MODEL, 3), canary_share=0.05)
    assert seen(told, confirmed()).beside == "version 3 answers 5% of the callers"


@pytest.mark.parametrize("outcome", ["broken", "data_refused", "promotion_refused", "rolled_back"])
def test_a_retraining_that_ended_badly_needs_attention(outcome: str) -> None:
    told = "snapshot was refused: no rows from Monday to Friday. Widen data.window"
    shown = seen(deployed(), confirmed(), entry(EntryKind.CONCLUDED, 8, told, outcome=outcome))
    assert shown.health is Health.ATTENTION
    (trouble,) = shown.troubles
    assert outcome.replace("_", " ") in trouble.said
    assert (trouble.told, trouble.seq) == (told, 8)


@pytest.mark.parametrize(
    ("failed", "health"),
    [({"r1"}, Health.ATTENTION), ({"r0", "r1", "r2"}, Health.ATTENTION), ({"r0"}, Health.WORKING)],
)
@pytest.mark.parametrize("behind", [{}, {"queued": (Queued(run_id="r2", since=AT),)}, {"under_way": "r2"}])
def test_a_run_that_airflow_failed_in_the_middle_runs_no_more_whatever_is_behind_it(
    failed: set[str], health: Health, behind: dict[str, Any]
) -> None:
    began = entry(EntryKind.TRIGGERED, 9, "the schedule", run_id="r1")
    shown = seen(deployed(), confirmed(), began, airflow=dags(failed=frozenset(failed), **behind))
    assert shown.health is health
    assert shown.is_retraining is (health is Health.WORKING)
    if health is Health.ATTENTION:
        assert "read the log" in shown.troubles[0].told


def test_a_bad_champion_is_not_seen_to_by_a_retraining_that_airflow_failed() -> None:
    facts = {**look(MODEL, 2, 0, Verdict.FAILED).model_dump(mode="json"), "is_due": True}
    began = entry(EntryKind.TRIGGERED, 9, run_id="r1")
    airflow = dags(failed=frozenset({"r1"}), queued=(Queued(run_id="r2", since=AT),))
    shown = seen(deployed(), confirmed(), entry(EntryKind.MONITORED, 7, **facts), began, airflow=airflow)
    assert "its last look found something wrong" in [trouble.said for trouble in shown.troubles]


def test_a_look_that_failed_is_trouble_while_the_next_one_runs() -> None:
    both = {
        "retrain__demand": DagState(dag_id="retrain__demand"),
        "monitor__demand": DagState(dag_id="monitor__demand", failed=frozenset({"l1"}), under_way="l2"),
    }
    shown = seen(deployed(), confirmed(), airflow=Airflow(dags=both))
    assert [trouble.said for trouble in shown.troubles] == ["its last look failed"]


def test_a_retraining_that_runs_is_told_and_the_end_before_it_is_not() -> None:
    ended, began = entry(EntryKind.CONCLUDED, 8, outcome="broken"), entry(EntryKind.TRIGGERED, 9, "the schedule")
    shown = seen(deployed(), confirmed(), ended, began)
    assert (shown.is_retraining, shown.health) == (True, Health.WORKING)
    assert shown.retraining is not None
    assert (shown.retraining.word, shown.retraining.sentence) == ("running", "the schedule")


def test_a_declined_challenger_is_a_good_end() -> None:
    assert seen(deployed(), confirmed(), entry(EntryKind.CONCLUDED, 8, outcome="declined")).health is Health.WELL


@pytest.mark.parametrize(("seq", "health"), [(9, Health.ATTENTION), (0, Health.WELL)])
def test_a_bad_look_counts_if_it_looked_at_this_champion(seq: int, health: Health) -> None:
    facts = look(MODEL, 2, 0, Verdict.FAILED).model_dump(mode="json")
    told = entry(EntryKind.MONITORED, 1, **facts).model_copy(update={"at": AT + timedelta(minutes=seq)})
    assert seen(deployed(seq=5), confirmed(seq=6), told).health is health


@pytest.mark.parametrize(
    ("later", "health"),
    [
        (None, Health.ATTENTION),
        (EntryKind.TRIGGERED, Health.WORKING),
        (EntryKind.CONCLUDED, Health.ATTENTION),
    ],
)
def test_a_bad_champion_is_seen_to_only_while_the_retraining_that_it_needs_runs(
    later: EntryKind | None, health: Health
) -> None:
    facts = {**look(MODEL, 2, 0, Verdict.FAILED).model_dump(mode="json"), "is_due": True}
    runs = {
        None: (),
        EntryKind.TRIGGERED: (entry(EntryKind.TRIGGERED, 8),),
        EntryKind.CONCLUDED: (entry(EntryKind.TRIGGERED, 8), entry(EntryKind.CONCLUDED, 9, outcome="declined")),
    }[later]
    assert seen(deployed(), confirmed(), entry(EntryKind.MONITORED, 7, **facts), *runs).health is health


@pytest.mark.parametrize(
    ("verdict", "minute", "health", "unseen"),
    [
        (Verdict.PASSED, 9, Health.WELL, ""),
        (Verdict.INCONCLUSIVE, 9, Health.UNKNOWN, "its last look could not say"),
        (Verdict.PASSED, 0, Health.UNKNOWN, "no look since version 2 began to serve"),
        (None, 0, Health.UNKNOWN, "no look since version 2 began to serve"),
    ],
)
def test_a_monitored_champion_is_well_only_where_a_look_at_it_says_so(
    verdict: Verdict | None, minute: int, health: Health, unseen: str
) -> None:
    both = {name: DagState(dag_id=name, owner="market-ml") for name in (f"retrain__{MODEL}", f"monitor__{MODEL}")}
    looked = []
    if verdict is not None:
        facts = look(MODEL, 2, 0, verdict).model_dump(mode="json")
        looked = [entry(EntryKind.MONITORED, 1, **facts).model_copy(update={"at": AT + timedelta(minutes=minute)})]
    shown = seen(deployed(seq=5), confirmed(seq=6), *looked, airflow=Airflow(dags=both))
    assert (shown.health, shown.unseen) == (health, unseen)


def test_a_bad_look_begins_with_what_decided() -> None:
    facts = look(MODEL, 2, 0, Verdict.FAILED).model_dump(mode="json")
    reason = "looked, no retraining is due: a long story"
    shown = seen(deployed(), confirmed(), entry(EntryKind.MONITORED, 9, reason, **facts))
    assert shown.look is not None
    headline = "drift: columns with 5% of the importance moved; and 2 more"
    assert (shown.look.headline, shown.look.sentence) == (headline, reason)
    assert (shown.troubles[0].told, shown.troubles[0].seq) == (headline, 9)


def test_a_look_that_found_nothing_needs_no_headline() -> None:
    facts = look(MODEL, 2, 0).model_dump(mode="json")
    shown = seen(deployed(), confirmed(), entry(EntryKind.MONITORED, 9, **facts))
    assert shown.look is not None
    assert shown.look.headline == ""


def test_an_unreadable_look_is_not_taken_for_a_good_one() -> None:
    shown = seen(deployed(), confirmed(), entry(EntryKind.MONITORED, 9, decision="gone"))
    assert shown.look is not None
    assert shown.look.word == "inconclusive"


@pytest.mark.parametrize(("told", "word"), [({"is_paused": True}, "paused"), ({"is_broken": True}, "cannot be used")])
def test_a_paused_or_broken_dag_is_trouble(told: dict[str, bool], word: str) -> None:
    shown = seen(deployed(), confirmed(), airflow=dags(**told))
    assert shown.health is Health.ATTENTION
    assert word in shown.troubles[0].said


def test_what_is_asked_of_a_person_is_counted() -> None:
    question = Question(
        dag_id=f"retrain__{MODEL}", run_id="r", task_id="approve", map_index=-1, subject="May it?",
        options=("Approve", "Reject"), params={}, assigned=(), since=AT,
    )  # fmt: skip
    other = question.model_copy(update={"dag_id": "retrain__other"})
    airflow = dags().model_copy(update={"questions": (question, other)})
    shown = seen(deployed(), confirmed(), airflow=airflow)
    assert (shown.questions, shown.health) == (1, Health.APPROVAL)


def test_what_serves_undeclared_is_not_called_well() -> None:
    facts = look(MODEL, 2, 0).model_dump(mode="json")
    shown = seen(deployed(), confirmed(), entry(EntryKind.MONITORED, 9, **facts), airflow=Airflow(dags={}))
    assert (shown.is_declared, shown.health) == (False, Health.UNKNOWN)
    assert shown.notes == ("it is no longer declared: nothing looks at what serves, and nothing retrains it",)


def test_the_sandbox_of_the_drill_is_no_forgotten_model() -> None:
    told = Recorded(newest={one.kind: one for one in (deployed(), confirmed())})
    shown = glance(DRILL_MODEL, told, Airflow(dags={}))
    assert (shown.health, shown.notes) == (Health.WELL, ())


def test_a_good_look_says_nothing_any_more_once_the_next_one_has_not_come() -> None:
    both = {
        "retrain__demand": DagState(dag_id="retrain__demand"),
        "monitor__demand": DagState(dag_id="monitor__demand", overdue_since=AT),
    }
    facts = look(MODEL, 2, 0).model_dump(mode="json")
    shown = seen(deployed(), confirmed(), entry(EntryKind.MONITORED, 9, **facts), airflow=Airflow(dags=both))
    assert shown.health is Health.UNKNOWN
    assert shown.notes == ("its look of 2026-03-01 03:00 UTC has not begun; does Airflow's scheduler run?",)


def test_a_retraining_that_has_not_come_is_told_and_says_nothing_of_what_serves() -> None:
    shown = seen(deployed(), confirmed(), airflow=dags(overdue_since=AT))
    assert (shown.health, len(shown.notes)) == (Health.WELL, 1)
    assert "its retraining of 2026-03-01 03:00 UTC has not begun" in shown.notes[0]


QUEUED = (Queued(run_id="manual__2", since=AT, by="olga"),)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"is_paused": True}, "retrain__demand is paused"),
        ({"under_way": "manual__1"}, "another one is under way"),
        ({}, "scheduler has not begun it"),
    ],
)
def test_a_retraining_that_has_not_begun_is_shown_with_what_it_waits_for(state: dict[str, Any], why: str) -> None:
    shown = seen(deployed(), confirmed(), airflow=dags(queued=QUEUED, **state))
    assert (shown.queued, shown.under_way) == (QUEUED, state.get("under_way"))
    assert why in shown.waits_for


def test_nothing_waits_where_nothing_is_queued() -> None:
    assert seen(airflow=dags(under_way="manual__1")).waits_for == ""
