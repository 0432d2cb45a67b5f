"""A rollback that Airflow failed is told by the sweep, whether or not its task could tell it."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.contract.ledger_entries import record
from tests.unit.hooks.alerting.receivers import WebReceiver
from tests.unit.operators.known_runs import KnownRuns
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import connect
from understudy.operators.alerting import tell_failed_rollback
from understudy.operators.decisions import PROBLEM_KEY, REFUSAL_KEY
from understudy.operators.errors import RollbackRefused
from understudy.operators.other_runs import OLD_NEWS
from understudy.operators.rollback import RollbackOperator
from understudy.operators.sweep.failed_rollbacks import ROLLBACK
from understudy.operators.sweep.sweep import SweepAlertsOperator
from understudy.workspace import run_key

ASKED = {"model": "price", "reason": "hurts"}


def sweep(airflow: KnownRuns) -> None:
    SweepAlertsOperator(task_id="sweep").execute(airflow.context())


def ended(problem: Exception, user: str | None = "ann") -> Any:
    return {
        "dag_run": SimpleNamespace(conf=ASKED, triggering_user_name=user),
        "run_id": "manual__1",
        "exception": problem,
    }


@pytest.mark.parametrize("task", ["failed", "skipped"])  # skipped where a person failed the run between two tries
def test_a_rollback_that_ended_without_a_word_is_told_once(task: str, airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: task}, conf=ASKED)
    for _ in range(3):
        sweep(airflow)
    (told,) = web.taken
    assert (told["kind"], told["severity"], told["model"]) == ("rollback_failed", "critical", "price")
    assert told["sentence"].endswith("what served may serve on: its task was killed")


def test_what_its_last_try_said_is_told(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf=ASKED)
    airflow.xcoms[ROLLBACK, "manual__1", ROLLBACK, PROBLEM_KEY] = "the registry does not answer"
    sweep(airflow)
    assert web.taken[0]["sentence"].endswith("the registry does not answer")


def test_what_the_task_told_itself_the_sweep_does_not_tell_again(airflow: KnownRuns, web: WebReceiver) -> None:
    tell_failed_rollback(ended(RuntimeError("no disk")))
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf=ASKED)
    sweep(airflow)
    assert [told["sentence"][-7:] for told in web.taken] == ["no disk"]


def test_a_rollback_that_waits_for_its_next_try_has_not_failed(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(ROLLBACK, "manual__1", "running", {ROLLBACK: "up_for_retry"}, conf=ASKED)
    airflow.add(ROLLBACK, "manual__2", "success", {ROLLBACK: "success"}, conf=ASKED)
    sweep(airflow)
    assert web.taken == []


def test_a_dry_run_and_old_news_are_nobody_s_alert(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf={**ASKED, "dry_run": True})
    long_ago = datetime.now(timezone.utc) - OLD_NEWS - timedelta(minutes=1)
    airflow.add(ROLLBACK, "manual__2", "failed", {ROLLBACK: "failed"}, conf=ASKED, end_date=long_ago)
    airflow.tasks[ROLLBACK]["deleted"] = {ROLLBACK: "failed"}
    sweep(airflow)
    assert web.taken == []


def test_a_rollback_that_was_recorded_before_its_task_died_is_told_as_one(airflow: KnownRuns, web: WebReceiver) -> None:
    ledger = connect().ledger
    ledger.append("price", EntryKind.DEPLOYED, "ann", "first", "run1", record(Change.PROMOTION, 1, 2))
    ledger.append("price", EntryKind.DEPLOYED, "ann", "hurts", run_key("manual__1"), record(Change.ROLLBACK, 2, 1))
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf=ASKED)
    sweep(airflow)
    assert [told["kind"] for told in web.taken] == ["rolled_back"]


@pytest.mark.parametrize(("user", "kind"), [("ann", "refused"), (None, "rollback_failed")])
def test_a_rollback_that_is_refused_is_an_emergency_only_where_no_person_was_told(
    user: str | None, kind: str, airflow: KnownRuns, web: WebReceiver
) -> None:
    refused = RollbackRefused("price", "Nothing served before.")
    tell_failed_rollback(ended(refused, user))
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf=ASKED, triggering_user_name=user)
    airflow.xcoms[ROLLBACK, "manual__1", ROLLBACK, REFUSAL_KEY] = str(refused)
    sweep(airflow)
    assert [told["kind"] for told in web.taken] == [kind]
    assert web.taken[0]["sentence"].endswith("'price' was not rolled back: Nothing served before.")


def test_a_refusal_that_its_task_could_not_tell_is_told_as_one_by_the_sweep(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    left: dict[str, Any] = {}
    run = SimpleNamespace(conf=ASKED, triggering_user_name="ann", run_type="manual")
    ti = SimpleNamespace(xcom_push=lambda key, value: left.update({key: value}))
    dag = SimpleNamespace(dag_id=ROLLBACK, params={**ASKED, "dry_run": False})
    context: Any = {"ti": ti, "dag": dag, "dag_run": run, "run_id": "manual__1", "params": ASKED}
    with pytest.raises(RollbackRefused):
        RollbackOperator(task_id=ROLLBACK, model="price", reason="hurts").execute(context)
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf=ASKED)
    airflow.xcoms = {(ROLLBACK, "manual__1", ROLLBACK, key): value for key, value in left.items()}
    sweep(airflow)
    (told,) = web.taken
    assert (told["kind"], told["severity"]) == ("refused", "warning")
    assert told["sentence"].startswith("price: a rollback was refused, and nothing was changed: 'price' was not rolled")
