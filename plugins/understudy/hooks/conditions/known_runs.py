"""What alerts have to know of Airflow's runs; who asks Airflow is a task's business."""

from datetime import datetime
from typing import Protocol

from understudy.contract.declared import Fact

FAILED, RUNNING, DONE = "failed", "running", "success"
"""States of a run, as Airflow calls them."""


class KnownRun(Fact):
    """Say how a run is doing."""

    run_id: str
    state: str
    begun_at: datetime | None = None
    """None while it is queued."""
    ended_at: datetime | None = None
    due_at: datetime | None = None
    """Its time on the DAG's schedule."""


class KnownRuns(Protocol):
    """Answer about runs of any DAG."""

    def state(self, dag_id: str, run_id: str) -> str | None:
        """Give the state of a run; None where Airflow knows of none."""

    def newest(self, dag_id: str, before: datetime, state: str | None = None) -> KnownRun | None:
        """Give the run of the newest time on the DAG's schedule, of any state or of one; None where there is none."""

    def is_any_running(self, dag_id: str) -> bool:
        """Tell whether a run is under way, whoever began it."""
