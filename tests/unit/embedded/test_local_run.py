"""Runs without a scheduler that meet: of one model, and of several on a machine that has run none yet."""

import fcntl
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from understudy.embedded import local_run
from understudy.embedded.airflow_api import TaskState
from understudy.embedded.layout import Layout
from understudy.embedded.local_run import AlreadyRunning, run_locally
from understudy.settings import Settings


def test_a_model_that_is_being_retrained_here_is_not_retrained_a_second_time(tmp_path: Path) -> None:
    running = tmp_path / "local" / "running"
    running.mkdir(parents=True)
    with (running / "retrain__demand").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning, match="retrain__demand is running in another process on this machine; wait"):
            run_locally(Settings(UNDERSTUDY_HOME=tmp_path), "demand", {}, lambda tasks: None)


def test_several_first_runs_at_once_make_one_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local, made = Layout(home=tmp_path), []

    def migrate() -> None:
        assert not local.database.exists()
        time.sleep(0.2)
        local.database.write_bytes(b"")
        made.append(1)

    monkeypatch.setattr("airflow.utils.db.initdb", migrate)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(local_run._prepare_database, [local] * 3))
    assert made == [1]


def test_tasks_are_told_too_when_the_run_has_the_number_of_the_one_before(tmp_path: Path) -> None:
    local = Layout(home=tmp_path)
    local.airflow_home.mkdir(parents=True)
    with closing(sqlite3.connect(local.database)) as database:
        database.execute("CREATE TABLE dag_run (id INTEGER PRIMARY KEY, dag_id, run_id)")
        database.execute(
            "CREATE TABLE task_instance (dag_id, run_id, task_id, map_index, state, start_date, end_date, try_number)"
        )
        begin(database, "monday")
        seen: list[TaskState] = []
        with local_run._watching(local, "retrain__demand", seen.extend):
            database.execute("DELETE FROM dag_run")
            begin(database, "tuesday")
    assert {(task.task, task.state) for task in seen} == {("tuesday", "success")}


def begin(database: sqlite3.Connection, run: str) -> None:
    """Note a run, and of it one task that is called as the run is."""
    database.execute("INSERT INTO dag_run VALUES (1, 'retrain__demand', ?)", [run])
    database.execute(
        "INSERT INTO task_instance VALUES ('retrain__demand', ?, ?, -1, 'success', NULL, NULL, 1)", [run, run]
    )
    database.commit()
