from datetime import datetime, timezone
from typing import Any

import pytest

from tests.unit.embedded.fake_airflow import SILENT, FakeAirflow, airflow
from understudy.embedded.airflow_api import AirflowApi, Asked, DagNotFound, DagPaused, TaskState
from understudy.embedded.airflow_client import TRIES, AirflowInTrouble, AirflowRefused, AirflowUnreachable

__all__ = ["airflow"]

DAG = "/api/v2/dags/retrain__tides"
RUN = f"{DAG}/dagRuns/run-1"
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
LOCKED = {"detail": {"reason": "Database error", "statement": "hidden", "message": "Look for ID x."}}


def task(name: str, state: str | None) -> dict[str, Any]:
    return {"task_id": name, "map_index": -1, "state": state, "start_date": None, "end_date": None, "try_number": 0}


def test_a_run_is_triggered_without_a_logical_date(airflow: FakeAirflow) -> None:
    airflow.answers |= {("GET", DAG): [(200, {"is_paused": False})], ("POST", f"{DAG}/dagRuns"): [(200, {})]}
    run = airflow.api.trigger("retrain__tides", {"dry_run": True})
    assert airflow.asked[-1][2] == {"dag_run_id": run, "logical_date": None, "conf": {"dry_run": True}}
    assert airflow.api.trigger("retrain__tides", {"dry_run": True}) != run


def test_a_paused_dag_stays_paused_and_is_not_triggered(airflow: FakeAirflow) -> None:
    airflow.answers |= {("GET", DAG): [(200, {"is_paused": True})], ("POST", f"{DAG}/dagRuns"): [(200, {})]}
    with pytest.raises(DagPaused, match=r"retrain__tides is paused, .* unpause it at http://.*/dags/retrain__tides or"):
        airflow.api.trigger("retrain__tides", {})
    assert [method for method, path, _ in airflow.asked if path.startswith(DAG)] == ["GET"]


def test_a_server_that_is_silent_for_a_moment_does_not_end_the_watch(airflow: FakeAirflow) -> None:
    airflow.answers |= {
        ("GET", RUN): [
            (SILENT, None),
            (200, {"state": "running"}),
            (SILENT, None),
            (SILENT, None),
            (200, {"state": "success"}),
        ],
        ("GET", f"{RUN}/taskInstances"): [(200, {"task_instances": []})],
    }
    assert airflow.api.follow("retrain__tides", "run-1", lambda _: None) == "success"
    airflow.answers[("GET", RUN)] = [(SILENT, None)]
    with pytest.raises(AirflowUnreachable):
        airflow.api.follow("retrain__tides", "run-1", lambda _: None)


@pytest.mark.parametrize(
    "tries",
    [
        [(500, LOCKED), (500, LOCKED), (200, {})],
        [(503, "the proxy's page"), (200, {})],
        [(SILENT, None), (409, {"detail": {"reason": "Unique constraint violation"}})],
    ],
    ids=["database-locked", "behind-a-proxy", "the-answer-was-lost"],
)
def test_a_run_that_is_asked_for_again_is_one_run(airflow: FakeAirflow, tries: list[tuple[int, Any]]) -> None:
    asked = len(tries)
    airflow.answers |= {("GET", DAG): [(200, {"is_paused": False})], ("POST", f"{DAG}/dagRuns"): tries}
    run = airflow.api.trigger("retrain__tides", {})
    begun = [body["dag_run_id"] for method, path, body in airflow.asked if path == f"{DAG}/dagRuns"]
    assert begun == [run] * asked


def test_trouble_of_airflow_s_own_that_does_not_pass_is_said_as_such(airflow: FakeAirflow) -> None:
    airflow.answers |= {("GET", DAG): [(200, {"is_paused": False})], ("POST", f"{DAG}/dagRuns"): [(500, LOCKED)]}
    with pytest.raises(AirflowInTrouble, match=r"to start .* \(HTTP 500\): Database error. Look for ID x. Look at"):
        airflow.api.trigger("retrain__tides", {})
    assert [path for _, path, _ in airflow.asked].count(f"{DAG}/dagRuns") == TRIES


def test_a_login_that_meets_trouble_is_tried_again(airflow: FakeAirflow) -> None:
    airflow.answers[("POST", "/auth/token")] = [(503, "starting"), (201, {"access_token": "t"})]
    airflow.answers[("GET", f"{RUN}/taskInstances")] = [(200, {"task_instances": []})]
    assert airflow.api.tasks("retrain__tides", "run-1") == []


def test_an_answer_to_a_question_that_comes_second_is_refused_and_not_sent_again(airflow: FakeAirflow) -> None:
    asked = Asked(dag_id="retrain__tides", run="run-1", task="approve", subject="?", at=NOW, assigned=())
    path = f"{RUN}/taskInstances/approve/-1/hitlDetails"
    airflow.answers[("PATCH", path)] = [(409, {"detail": "answered already"})]
    with pytest.raises(AirflowRefused) as refused:
        airflow.api.answer(asked, "Approve", {})
    assert refused.value.status == 409
    assert [method for method, at, _ in airflow.asked if at == path] == ["PATCH"]


def test_a_run_is_followed_to_its_end(airflow: FakeAirflow) -> None:
    airflow.answers |= {
        ("GET", RUN): [(200, {"state": "running"}), (200, {"state": "failed"})],
        ("GET", f"{RUN}/taskInstances"): [(200, {"task_instances": [task("check", "skipped")]})],
    }
    seen: list[list[TaskState]] = []
    assert airflow.api.follow("retrain__tides", "run-1", seen.append) == "failed"
    assert [state.task for state in seen[-1]] == ["check"]


def test_a_task_that_returned_nothing_is_none_not_an_error(airflow: FakeAirflow) -> None:
    assert airflow.api.xcom("retrain__tides", "run-1", "outcome") is None


def test_a_dag_that_never_comes_is_reported_with_the_import_error(airflow: FakeAirflow) -> None:
    trace = "Traceback\n  File x\nValueError: no such thing"
    airflow.answers[("GET", "/api/v2/importErrors")] = [(200, {"import_errors": [{"stack_trace": trace}]})]
    with pytest.raises(DagNotFound, match="It reports: ValueError: no such thing"):
        airflow.api.wait_for_dag("retrain__tides", 0.05)


def test_a_refusal_says_what_was_refused_and_why(airflow: FakeAirflow) -> None:
    airflow.answers[("POST", "/auth/token")] = [(401, {"detail": "Invalid credentials"})]
    with pytest.raises(AirflowRefused, match=r"log in \(HTTP 401\): Invalid credentials"):
        airflow.api.tasks("retrain__tides", "run-1")


def test_a_dead_server_is_said_in_a_sentence() -> None:
    with pytest.raises(AirflowUnreachable, match="does not answer"):
        AirflowApi("http://127.0.0.1:9", "admin", "x").tasks("d", "r")
