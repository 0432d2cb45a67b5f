"""A run as Airflow names it: what a ledger entry keeps, so that its card can lead there."""

from collections.abc import Mapping
from typing import Any

from understudy.contract.declared import Fact

COMMAND_LINE = "command line"
"""What stands in brackets behind the name of whoever decided at a terminal, so without a run."""


class AirflowRun(Fact):
    """Name a run of a DAG."""

    dag_id: str
    run_id: str


def airflow_run_in(facts: Mapping[str, Any]) -> AirflowRun | None:
    """Read which run wrote an entry, from its facts; None where it names none."""
    dag_id, run_id = facts.get("dag_id"), facts.get("run_id")
    if not (isinstance(dag_id, str) and isinstance(run_id, str) and dag_id and run_id):
        return None
    return AirflowRun(dag_id=dag_id, run_id=run_id)
