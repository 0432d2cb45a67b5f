"""Whether a run without a scheduler goes on is told by the lock of its process, which is killed here for real."""

import subprocess
import sys
from pathlib import Path

import pytest

from understudy.hooks.local_runs import alone, has_died, this_process
from understudy.settings import PROJECT

DAG = "retrain__price"
HOLDER = """
import sys, time
from pathlib import Path
from understudy.hooks.local_runs import alone
with alone(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(3600)
"""


def place_of(home: Path) -> str:
    with alone(home, DAG):
        run = this_process(home, DAG)
    assert run is not None
    return run.place


def test_a_process_that_is_killed_is_known_to_be_dead_and_before_it_to_live(tmp_path: Path) -> None:
    place = place_of(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path), DAG]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(PROJECT / "plugins")}) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not has_died(tmp_path, DAG, place)
        with pytest.raises(BlockingIOError), alone(tmp_path, DAG):
            pass
        holder.kill()
    assert has_died(tmp_path, DAG, place)


def test_a_place_keeps_its_name_and_a_copied_path_is_another_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    place = place_of(here)
    assert place_of(here) == place
    assert place_of(there) != place
    assert has_died(here, DAG, place)
    assert not has_died(there, DAG, place)
    assert not has_died(tmp_path / "nowhere", DAG, place)
    assert not has_died(here, "retrain__other", place), "it holds no lock here"


def test_a_process_that_holds_no_lock_says_nothing_of_where_it_is(tmp_path: Path) -> None:
    with alone(tmp_path, "retrain__other"):
        assert this_process(tmp_path, DAG) is None
    assert this_process(tmp_path, "retrain__other") is None
