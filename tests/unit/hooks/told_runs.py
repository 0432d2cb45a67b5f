"""What Airflow would answer about its runs, told beforehand."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from understudy.hooks.conditions.known_runs import KnownRun

RUNNING = "running"


class ToldRuns(NamedTuple):
    """Answer by what a test tells.

    :param states: by run id, of runs that the ledger names.
    :param scheduled: of the one DAG that is asked about, oldest first.
    :param is_by_hand: whether a run is under way that no schedule began.
    """

    states: Mapping[str, str] = {}
    scheduled: tuple[KnownRun, ...] = ()
    is_by_hand: bool = False

    def state(self, dag_id: str, run_id: str) -> str | None:
        assert dag_id
        return self.states.get(run_id)

    def newest(self, dag_id: str, before: datetime, state: str | None = None) -> KnownRun | None:
        assert dag_id
        assert before.tzinfo is not None
        asked = (run for run in self.scheduled[::-1] if run.due_at is None or run.due_at < before)
        return next((run for run in asked if state in {None, run.state}), None)

    def is_any_running(self, dag_id: str) -> bool:
        return self.is_by_hand or self.newest(dag_id, datetime.now().astimezone(), RUNNING) is not None
