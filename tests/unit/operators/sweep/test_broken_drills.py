"""A rollback drill that ends without a word is told by the sweep, once, as what it is: nothing was measured."""

import pytest

from tests.unit.hooks.alerting.receivers import WebReceiver
from tests.unit.operators.known_runs import AIRFLOW, KnownRuns
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.drill import DRILL_DAG
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.connect import connect
from understudy.operators.decisions import HELD_BACK_KEY, PROBLEM_KEY
from understudy.operators.sweep.sweep import SweepAlertsOperator
from understudy.workspace import run_key


def sweep(airflow: KnownRuns) -> None:
    SweepAlertsOperator(task_id="sweep").execute(airflow.context())


@pytest.mark.parametrize(
    ("tasks", "why"),
    [
        (
            {"models": "success", "drill": "failed", "clear": "success"},
            "its task drill was killed, ran out of time, or",
        ),
        ({"models": "failed", "drill": "upstream_failed", "clear": "success"}, "its task models was killed, ran out"),
        (
            {"models": "success", "drill": "failed", "clear": "failed"},
            "its tasks drill and clear were killed, ran out of time, or were failed by a person",
        ),
        (
            {"models": "success", "drill": "skipped", "clear": "skipped"},
            "it was killed, ran out of time, or was failed",
        ),
    ],
    ids=["drill", "models", "drill and clear", "whole run"],
)
def test_a_drill_that_was_killed_before_it_measured_anything_is_told_once(
    tasks: dict[str, str | None], why: str, airflow: KnownRuns, web: WebReceiver
) -> None:
    airflow.add(DRILL_DAG, "scheduled__1", "failed", tasks)
    for _ in range(3):
        sweep(airflow)
    (told,) = web.taken
    assert (told["kind"], told["severity"], told["model"]) == ("run_broken", "error", DRILL_MODEL)
    assert "the rollback drill scheduled__1 ended before it had measured anything" in told["sentence"]
    assert why in told["sentence"]
    assert told["page"] == f"{AIRFLOW}/dags/rollback_drill/runs/scheduled__1"
    assert told["runbook"].endswith("#run-broken")


def test_a_drill_that_could_say_what_broke_it_is_told_with_that(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(DRILL_DAG, "scheduled__1", "failed", {"models": "failed", "drill": "upstream_failed"})
    airflow.xcoms[DRILL_DAG, "scheduled__1", "models", PROBLEM_KEY] = "No Docker engine answers."
    sweep(airflow)
    assert web.taken[0]["sentence"].endswith(": No Docker engine answers.")


@pytest.mark.parametrize(
    ("verdict", "kind"), [(Verdict.FAILED, "rollback_failed"), (Verdict.PASSED, "run_broken")], ids=str
)
def test_what_a_drill_has_measured_is_told_by_its_entry_and_not_again_as_a_broken_run(
    verdict: Verdict, kind: str, airflow: KnownRuns, web: WebReceiver
) -> None:
    connect().ledger.append(
        DRILL_MODEL, EntryKind.DRILLED, "scheduled", "s", run_key("scheduled__1"), {"verdict": verdict.value}
    )
    airflow.add(DRILL_DAG, "scheduled__1", "failed", {"models": "success", "drill": "failed", "clear": "success"})
    airflow.xcoms[DRILL_DAG, "scheduled__1", "drill", PROBLEM_KEY] = "The drill's sandbox is still there"
    for _ in range(2):
        sweep(airflow)
    assert [told["kind"] for told in web.taken] == [kind]


def test_a_drill_that_passed_was_skipped_or_still_runs_is_nobody_s_alert(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(DRILL_DAG, "1", "success", {"models": "success", "drill": "success", "clear": "success"})
    airflow.add(DRILL_DAG, "2", "success", {"models": "skipped", "drill": "skipped", "clear": "success"})
    airflow.xcoms[DRILL_DAG, "2", "models", HELD_BACK_KEY] = "no gateway is known here"
    airflow.add(DRILL_DAG, "3", "running", {"models": "success", "drill": "running", "clear": None})
    sweep(airflow)
    assert web.taken == []


def test_a_drill_that_a_person_ended_before_its_task_began_is_told_though_airflow_calls_it_a_success(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    airflow.add(DRILL_DAG, "manual__1", "success", {"models": "skipped", "drill": "skipped", "clear": "success"})
    for _ in range(2):
        sweep(airflow)
    (told,) = web.taken
    assert told["sentence"].endswith("it was killed, ran out of time, or was failed by a person")
