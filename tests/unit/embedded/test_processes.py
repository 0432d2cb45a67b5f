import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from understudy.embedded.processes import Started, is_alive, start, stop

CHILD = "import time; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {CHILD!r}]).wait()"


def launch(folder: Path, code: str, name: str = "it") -> Started:
    return start(name, [sys.executable, "-c", code], dict(os.environ), folder / "logs" / "it.log", folder)


def wait_for_child(started: Started) -> psutil.Process:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = psutil.Process(started.pid).children()
        if children:
            return children[0]
        time.sleep(0.02)
    raise AssertionError("the child never came")


def test_what_a_program_started_is_stopped_with_it(tmp_path: Path) -> None:
    started = launch(tmp_path, PARENT)
    child = wait_for_child(started)
    assert stop([started]) == ["it"]
    assert not child.is_running()
    assert not is_alive(started)
    assert stop([started]) == []


def test_children_of_a_killed_program_are_found_by_their_group(tmp_path: Path) -> None:
    started = launch(tmp_path, PARENT)
    child = wait_for_child(started)
    os.kill(started.pid, signal.SIGKILL)
    os.waitpid(started.pid, 0)
    assert child.is_running()
    assert stop([started]) == ["it"]
    assert not child.is_running()


def test_a_number_that_belongs_to_somebody_else_by_now_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD]) as stranger:
        an_hour_ago = psutil.Process(stranger.pid).create_time() - 3600
        stale = Started(name="it", pid=stranger.pid, since=an_hour_ago, asked_at=an_hour_ago)
        assert not is_alive(stale)
        assert stop([stale]) == []
        assert stranger.poll() is None
        stranger.kill()


def test_a_program_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    started = launch(tmp_path, stubborn)
    log = tmp_path / "logs" / "it.log"
    deadline = time.monotonic() + 10
    while "deaf" not in log.read_text(encoding="utf-8") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stop([started], grace_s=0.3) == ["it"]
    assert not is_alive(started)
