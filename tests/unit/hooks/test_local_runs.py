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


def test_a_process_that_is_killed_is_known_to_be_dead_and_before_it_to_live(tmp_path: Path) -> None:
    run = this_process(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path), DAG]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(PROJECT / "plugins")}) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not has_died(tmp_path, DAG, run.place)
        with pytest.raises(BlockingIOError), alone(tmp_path, DAG):
            pass
        holder.kill()
    assert has_died(tmp_path, DAG, run.place)


def test_a_place_keeps_its_name_and_a_copied_path_is_another_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    run = this_process(here)
    assert this_process(here) == run
    assert this_process(there).place != run.place
    for home in (here, there):
        with alone(home, DAG):
            pass
    assert has_died(here, DAG, run.place)
    assert not has_died(there, DAG, run.place)
    assert not has_died(tmp_path / "nowhere", DAG, run.place)
    assert not has_died(here, "retrain__other", run.place), "it holds no lock here"
