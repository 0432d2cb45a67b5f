"""A sweep does not list the runs of all times again and again: with thousands of them Airflow takes seconds for it."""

from datetime import datetime, timedelta, timezone

from tests.unit.hooks.alerting.receivers import WebReceiver
from tests.unit.operators.known_runs import KnownRuns
from understudy.contract.drill import DRILL_DAG
from understudy.operators.other_runs import OtherRuns
from understudy.operators.sweep.failed_rollbacks import ROLLBACK
from understudy.operators.sweep.sweep import SweepAlertsOperator

NOW = datetime(2026, 3, 1, 12, 5, tzinfo=timezone.utc)
ASKED = {"model": "price", "reason": "hurts"}


def add(airflow: KnownRuns, run_id: str, state: str, task: str, dag_id: str = DRILL_DAG) -> None:
    ended = NOW if state in {"failed", "success"} else None
    airflow.add(dag_id, run_id, state, {"drill": task, "clear": "success"}, end_date=ended)


def heard(airflow: KnownRuns, before: OtherRuns | None = None, at: datetime = NOW) -> tuple[list[str], OtherRuns]:
    runs = OtherRuns(airflow, before.seen if before else {})
    return [run.run_id for run, _ in runs.undone(DRILL_DAG, at)], runs


def test_where_no_run_has_failed_none_is_listed(airflow: KnownRuns) -> None:
    add(airflow, "1", "success", "success")
    add(airflow, "2", "running", "running")
    assert heard(airflow)[0] == []
    assert list(OtherRuns(airflow).failed(DRILL_DAG, NOW)) == []
    assert airflow.listed == []


def test_what_was_heard_is_listed_again_when_something_else_fails_or_an_hour_has_passed(airflow: KnownRuns) -> None:
    add(airflow, "1", "failed", "failed")
    told, first = heard(airflow)
    assert told == ["1"]
    add(airflow, "2", "success", "success")
    told, second = heard(airflow, first)
    assert (told, airflow.listed) == ([], [DRILL_DAG])
    add(airflow, "3", "failed", "failed")
    told, third = heard(airflow, second)
    assert (told, len(airflow.listed)) == (["1", "3"], 2)
    assert heard(airflow, third, NOW + timedelta(minutes=50))[0] == []
    assert heard(airflow, third, NOW + timedelta(minutes=55))[0] == ["1", "3"], "the next hour"


def test_a_run_whose_task_was_skipped_is_waited_for_until_it_is_over(airflow: KnownRuns) -> None:
    add(airflow, "1", "running", "skipped")
    told, first = heard(airflow)
    assert told == []
    add(airflow, "1", "success", "skipped")
    assert heard(airflow, first)[0] == ["1"]


def test_a_sweep_hands_on_what_it_has_heard_to_the_next_one(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(ROLLBACK, "manual__1", "failed", {ROLLBACK: "failed"}, conf=ASKED)
    for _ in range(3):
        SweepAlertsOperator(task_id="sweep").execute(airflow.context())
        airflow.begin()
    assert len(web.taken) == 1
    assert len(airflow.listed) <= 2, "once, and again where the test meets a new hour"
