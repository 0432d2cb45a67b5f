"""Housekeeping that fails is told, once, until it goes well again: nobody looks at it, and the disk fills up."""

from datetime import datetime, timedelta, timezone

from tests.unit.hooks.alerting.receivers import WebReceiver
from tests.unit.operators.known_runs import AIRFLOW, KnownRuns
from understudy.operators.sweep.sweep import SweepAlertsOperator
from understudy.operators.tidy.mirrors import HOUSEKEEPING


def hour(airflow: KnownRuns, ago: int, state: str) -> None:
    """Let a run of so many hours ago have ended so, or go on; then sweep."""
    at = datetime.now(timezone.utc) - timedelta(hours=ago)
    ended = None if state == "running" else at + timedelta(minutes=1)
    airflow.add(HOUSEKEEPING, f"hourly__{ago}", state, {"tidy": state}, logical_date=at, end_date=ended)
    SweepAlertsOperator(task_id="sweep").execute(airflow.context())


def test_housekeeping_that_fails_is_told_once_and_again_after_it_went_well(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    hour(airflow, 9, "success")
    assert web.taken == []
    hour(airflow, 8, "failed")
    (told,) = web.taken
    assert (told["kind"], told["model"]) == ("run_broken", "")
    assert "housekeeping failed in its run hourly__8" in told["sentence"]
    assert told["page"] == f"{AIRFLOW}/dags/housekeeping/runs/hourly__8"
    hour(airflow, 7, "failed")
    hour(airflow, 6, "running")
    assert len(web.taken) == 1, "what runs has repaired nothing yet"
    hour(airflow, 6, "success")
    hour(airflow, 5, "failed")
    assert [one["page"].rpartition("_")[2] for one in web.taken] == ["8", "5"]
