"""Run a model's Dag in this process, without scheduler, server or ports."""

import fcntl
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from understudy.contract.cause import MONITOR_PREFIX, RETRAIN_PREFIX
from understudy.contract.errors import UnderstudyError
from understudy.embedded.airflow_api import TaskState
from understudy.embedded.interruption import Interruption, RunStopped
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import keys, write_private
from understudy.hooks.local_runs import alone
from understudy.runners.nursery import nursery
from understudy.settings import Settings

LOOK_EVERY_S = 0.5
RUNS = "SELECT run_id FROM dag_run WHERE dag_id = :dag"
TASKS = """
    SELECT task_id, map_index, state, start_date, end_date, try_number, run_id FROM task_instance WHERE dag_id = :dag
"""
TaskWatcher = Callable[[list[TaskState]], None]


class DagBroken(UnderstudyError):
    """The Dag file cannot be imported."""

    def __init__(self, dag_id: str, errors: dict[str, str]) -> None:
        told = next(iter(errors.values()), "no file defines it").strip().splitlines()[-1]
        super().__init__(f"The Dag {dag_id} cannot be run: {told}. `understudy check` looks at the declarations.")


class AlreadyRunning(UnderstudyError):
    """Another process runs the same Dag without a scheduler."""

    def __init__(self, dag_id: str) -> None:
        super().__init__(f"{dag_id} is running in another process on this machine; wait for it, or end it first.")


class LocalDag(NamedTuple):
    """Name a Dag that can be run without a scheduler, and the task that says how it ended.

    ``always_tells`` is for a last task that decides nothing, but records the end of a run that was stopped, too.
    """

    prefix: str
    file: str
    last_task: str
    always_tells: bool


RETRAINING = LocalDag(RETRAIN_PREFIX, "retraining.py", "outcome", always_tells=True)
MONITORING = LocalDag(MONITOR_PREFIX, "monitoring.py", "decide", always_tells=False)


def run_locally(
    settings: Settings, model: str, conf: dict[str, Any], watch: TaskWatcher, kind: LocalDag = RETRAINING
) -> tuple[str, Any, Path]:
    """Run a Dag of a model and return the run's id, what its last task returned, and the log.

    Airflow has a small database of its own below ``<home>/local``; registry, ledger and data are the deployment's. A
    broken task is not tried again: whoever waits for it wants to know at once.

    :raises AlreadyRunning: when another process runs it.
    :raises DagBroken: when the Dag cannot be imported.
    :raises RunStopped: when it was interrupted (SIGINT, SIGTERM) and what ran has been ended.
    """
    local = Layout(home=settings.home.resolve() / "local")
    log = local.logs / f"{model}-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.log"
    interruption, dag_id = Interruption(), f"{kind.prefix}{model}"
    with _alone(settings.home, dag_id), _written_to(log):
        _prepare_environment(local, dag_id)
        _prepare_database(local)
        dag = _dag(local, dag_id, kind, interruption)
        run = None
        with _watching(local, dag_id, watch), nursery(), interruption.listening():
            run = dag.test(run_conf=conf, logical_date=None)
        if interruption.by is not None:
            raise RunStopped(dag_id, interruption.by, str(log))
        return run.run_id, _returned(dag_id, run.run_id, kind.last_task), log


def _dag(local: Layout, dag_id: str, kind: LocalDag, interruption: Interruption) -> Any:
    """Load the Dag; its tasks are tried once, and not begun once the run is to stop."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(local.project / "dags" / kind.file)
    dag = bag.dags.get(dag_id)
    if dag is None:
        raise DagBroken(dag_id, bag.import_errors)
    for task in dag.task_dict.values():
        hook = None if kind.always_tells and task.task_id == kind.last_task else interruption.before_task
        if hasattr(task, "partial_kwargs"):
            task.partial_kwargs |= {"retries": 0, "pre_execute": hook}
        else:
            task.retries, task._pre_execute_hook = 0, hook
    return dag


def _returned(dag_id: str, run_id: str, task: str) -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.scalars(
            XComModel.get_many(key="return_value", dag_ids=dag_id, run_id=run_id, task_ids=task)
        ).first()
        return XComModel.deserialize_value(found) if found is not None else None


@contextmanager
def _watching(local: Layout, dag_id: str, watch: TaskWatcher) -> Iterator[None]:
    """Report the tasks' states while the block runs; Airflow itself tells them only when all is over."""
    # By their names: Airflow deletes the run before, and SQLite gives its number to the next one.
    ended, earlier = threading.Event(), {run for (run,) in _select(local, RUNS, {"dag": dag_id})}

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            watch(_tasks(local, dag_id, earlier))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        watch(_tasks(local, dag_id, earlier))


def _tasks(local: Layout, dag_id: str, earlier: Collection[str]) -> list[TaskState]:
    rows = [row for row in _select(local, TASKS, {"dag": dag_id}) if row[6] not in earlier]
    return [
        TaskState(
            task=row[0], map_index=row[1], state=row[2], since=_utc(row[3]), until=_utc(row[4]), attempt=max(row[5], 1)
        )
        for row in rows
    ]


def _select(local: Layout, query: str, values: dict[str, Any]) -> list[Any]:
    with closing(sqlite3.connect(f"file:{local.database}?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(query, values).fetchall()


def _utc(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _prepare_environment(local: Layout, dag_id: str) -> None:
    """Point Airflow, which reads this when it is first imported, to the small database."""
    for name in ("AIRFLOW_CONFIG", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        os.environ.pop(name, None)
    secret = keys(local)
    os.environ |= {
        "AIRFLOW_HOME": str(local.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(local.project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(local.project / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": secret.fernet,
        "AIRFLOW__API_AUTH__JWT_SECRET": secret.jwt,
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(local.logs / "tasks"),
        # The Dag file then reads this model's declaration only.
        "_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _prepare_database(local: Layout) -> None:
    from importlib.metadata import version

    finished, wanted = local.airflow_home / "migrated", version("apache-airflow-core")
    with (local.home / "migrating.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several models may be retrained at once, the first time, too
        _migrate(local, finished, wanted)


def _migrate(local: Layout, finished: Path, wanted: str) -> None:
    from airflow.utils.db import initdb

    if local.database.is_file() and finished.is_file() and finished.read_text(encoding="utf-8") == wanted:
        return
    local.airflow_home.mkdir(parents=True, exist_ok=True)
    if not finished.is_file():
        for rest in local.airflow_home.glob("airflow.db*"):
            rest.unlink()  # never finished, so it holds nothing
    initdb()
    write_private(finished, wanted)


@contextmanager
def _alone(home: Path, dag_id: str) -> Iterator[None]:
    """Let one process at a time run a Dag: Airflow deletes the run without a logical date when the next one begins."""
    with ExitStack() as held:
        try:
            held.enter_context(alone(home, dag_id))
        except BlockingIOError as taken:
            raise AlreadyRunning(dag_id) from taken
        yield


@contextmanager
def _written_to(log: Path) -> Iterator[None]:
    """Send what this process and its children print to a file; a copy of stderr made before keeps its terminal."""
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        with log.open("ab") as stream:
            for descriptor in kept:
                os.dup2(stream.fileno(), descriptor)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
            os.close(copy)
