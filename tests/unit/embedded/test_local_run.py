"""Runs without a scheduler that meet: of one model, and of several on a machine that has run none yet."""

import fcntl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from understudy.embedded import local_run
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
