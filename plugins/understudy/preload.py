"""What the processes of parsers and tasks inherit: imported once by the one they are forked from, not anew by each."""

import sys
from importlib import import_module

from airflow.listeners import hookimpl

DAGS = (
    "understudy.action_dags", "understudy.alerts_dag", "understudy.dag_factory", "understudy.drill_dag",
    "understudy.housekeeping_dag", "understudy.monitoring_dag", "understudy.replay_dag",
)  # fmt: skip
"""What the files in dags/ import: a second of processor time, which each task and each look at a file would pay."""

TASKS = (
    "docker", "mlflow.tracking", "optuna", "requests", "understudy.hooks.registry.registration",
    "understudy.hooks.search", "understudy.runners.docker", "understudy.runners.process",
)  # fmt: skip
"""What most tasks import while they run, another two to three seconds."""


@hookimpl
def on_starting(component: object) -> None:
    """Import what is needed by all that this component will fork; a task that starts has inherited it."""
    from airflow.jobs.job import Job

    if not isinstance(component, Job):
        return
    # Airflow does not say yet which job it is. Only the scheduler forks tasks (LocalExecutor); they need the most.
    for name in (*DAGS, *TASKS) if "scheduler" in sys.argv[1:2] else DAGS:
        import_module(name)
