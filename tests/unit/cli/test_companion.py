"""A companion program runs as long as the one that started it, and no longer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from understudy.cli import companion as companion_module
from understudy.cli.companion import Companion
from understudy.settings import PROJECT

WITHIN_S = 60.0
LISTEN = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); sys.stdin.read()"
PARENT = f"""
import sys, time
from understudy.cli.companion import Companion
Companion([sys.executable, "-c", {LISTEN!r}, sys.argv[1]], print).start()
time.sleep(600)
"""


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text(encoding="utf-8").split()] if path.is_file() else []


def is_over(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_companion_that_dies_is_started_again_and_ends_with_its_starter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companion_module, "FIRST_PAUSE_S", 0.05)
    deaths: list[tuple[int, float]] = []
    noted = tmp_path / "pids"
    one = Companion([sys.executable, "-c", LISTEN, str(noted)], lambda _, status, pause: deaths.append((status, pause)))
    one.start()
    for lives in (1, 2):
        wait(lambda lives=lives: len(pids(noted)) == lives)  # type: ignore[misc]
        os.kill(pids(noted)[-1], signal.SIGKILL)
    wait(lambda: len(pids(noted)) == 3)
    one.stop()
    assert deaths == [(-9, 0.05), (-9, 0.1)]
    assert is_over(pids(noted)[-1])


def test_a_companion_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    noted = tmp_path / "pids"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "plugins")}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(noted)], env=environment)
    try:
        wait(lambda: len(pids(noted)) == 1)
    finally:
        parent.kill()
        parent.wait()
    wait(lambda: is_over(pids(noted)[0]))
