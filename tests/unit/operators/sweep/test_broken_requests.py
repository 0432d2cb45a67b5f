"""What a person asked for and did not get is told to others as well, once: a hold that failed holds nothing."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.hooks.alerting.receivers import WebReceiver
from tests.unit.operators.known_runs import AIRFLOW, KnownRuns
from understudy.contract.words import Action, EntryKind
from understudy.hooks.connect import connect
from understudy.operators import ActOperator
from understudy.operators.decisions import PROBLEM_KEY
from understudy.operators.errors import ActRefused
from understudy.operators.sweep.broken_requests import ASKED, REPLAY
from understudy.operators.sweep.sweep import SweepAlertsOperator

FORM = {"model": "price", "reason": "audit"}


def sweep(airflow: KnownRuns, times: int = 1) -> None:
    for _ in range(times):
        SweepAlertsOperator(task_id="sweep").execute(airflow.context())
        airflow.begin()


@pytest.mark.parametrize("dag_id", ASKED)
def test_a_request_that_was_killed_is_told_once(dag_id: str, airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(dag_id, "manual__1", "failed", {"task": "failed"}, conf=FORM)
    sweep(airflow, times=3)
    (told,) = web.taken
    assert (told["kind"], told["severity"], told["model"]) == ("run_broken", "error", "price")
    action = dag_id.replace("_", " ")
    assert told["sentence"] == (
        f"price: the {action} that ann asked for failed: its task task was killed, ran out of time, or was failed by a "
        "person"
    )
    assert told["page"] == f"{AIRFLOW}/dags/{dag_id}/runs/manual__1"
    assert told["runbook"].endswith("#run-broken")


def test_a_request_that_could_say_what_broke_it_is_told_with_that(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(REPLAY, "manual__1", "failed", {"rows": "success", "policies": "failed", "walk": "upstream_failed"})
    airflow.xcoms[REPLAY, "manual__1", "policies", PROBLEM_KEY] = "the disk is full"
    sweep(airflow)
    assert web.taken[0]["sentence"] == "no known model: the replay that ann asked for failed: the disk is full"


def test_a_request_that_was_refused_is_told_as_that(airflow: KnownRuns, web: WebReceiver) -> None:
    connect().ledger.append("price", EntryKind.TRIGGERED, "ann", "the first run")
    run, dag = SimpleNamespace(run_type="manual", triggering_user_name="ann"), SimpleNamespace(dag_id="release")
    context: Any = airflow.context(dag_run=run, dag=dag, run_id="manual__1", params={})
    with pytest.raises(ActRefused):
        ActOperator(task_id="release", action=Action.RELEASE, model="price", reason="audit").execute(context)
    airflow.add("release", "manual__1", "failed", {"release": "failed"}, conf=FORM)
    airflow.xcoms = {("release", "manual__1", "release", key): value for key, value in airflow.pushed.items()}
    sweep(airflow, times=2)
    (told,) = web.taken
    assert (told["kind"], told["severity"]) == ("refused", "warning")
    assert told["sentence"].startswith("price: the release that ann asked for was refused: release of 'price': Nobody")


def test_a_dry_run_and_one_that_goes_well_or_is_tried_again_are_nobody_s_alert(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    airflow.add("hold", "manual__1", "failed", {"hold": "failed"}, conf={**FORM, "dry_run": True})
    airflow.add("hold", "manual__2", "success", {"hold": "success"}, conf=FORM)
    airflow.add("lock", "manual__3", "running", {"lock": "up_for_retry"}, conf=FORM)
    sweep(airflow)
    assert web.taken == []


def test_what_a_program_sends_as_a_model_ends_no_sweep(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add("hold", "manual__1", "failed", {"hold": "failed"}, conf={"model": "x" * 10_000})
    airflow.add("hold", "manual__2", "failed", {"hold": "failed"}, conf={"model": {"not": "a name"}})
    sweep(airflow)
    assert [told["model"] for told in web.taken] == ["", ""]
