"""One component of a running stack has died: it alone is started again."""

import os
import signal
from pathlib import Path

import pytest

from tests.unit.embedded.conftest import start
from understudy.embedded import stack
from understudy.embedded.components import COMPONENTS
from understudy.embedded.health import ComponentDied
from understudy.embedded.layout import Layout
from understudy.embedded.processes import Started, is_alive


def processes(layout: Layout) -> dict[str, Started]:
    record = stack._read(layout)
    assert record is not None
    return {process.name: process for process in record.processes}


def program(layout: Layout) -> Path:
    return layout.project / "plugins" / "airflow" / "__main__.py"


def kill(process: Started) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)


@pytest.mark.parametrize("name", ["scheduler", "gateway", "api-server"])
def test_what_died_is_started_again_and_nothing_else(layout: Layout, name: str) -> None:
    first = start(layout, [])
    before = processes(layout)
    kill(before[name])
    assert stack.running(layout) is None

    steps: list[str] = []
    again = start(layout, steps)
    after = processes(layout)
    assert {other for other in COMPONENTS if after[other] != before[other]} == {name}
    assert all(is_alive(process) for process in after.values())
    assert (again.airflow, again.mlflow, again.gateway) == (first.airflow, first.mlflow, first.gateway)
    assert steps[0] == f"restarting {name}"
    assert again.remarks == (f"restarted {name}; everything else went on",)
    assert layout.gateway_address.read_text(encoding="utf-8").strip() == again.gateway
    assert start(layout, []).was_running
    assert sorted(stack.down(layout)) == sorted(COMPONENTS)


def test_a_dead_ones_last_heartbeat_is_not_taken_for_its_successors(layout: Layout) -> None:
    start(layout, [])
    kill(processes(layout)["scheduler"])
    late = program(layout).read_text(encoding="utf-8").replace("time.sleep(0.3)", "time.sleep(3)")
    program(layout).write_text(late, encoding="utf-8")
    start(layout, [])
    assert (layout.airflow_home / "scheduler").stat().st_mtime >= processes(layout)["scheduler"].asked_at


def test_what_cannot_be_started_again_takes_nothing_down_with_it(layout: Layout) -> None:
    start(layout, [])
    before = processes(layout)
    kill(before["triggerer"])
    broken = "import sys\nraise SystemExit('no more' if sys.argv[1] == 'triggerer' else 0)"
    program(layout).write_text(broken, encoding="utf-8")
    with pytest.raises(ComponentDied, match=r"triggerer ended before it was ready.*no more"):
        start(layout, [])
    assert [name for name, process in before.items() if not is_alive(process)] == ["triggerer"]
    assert sorted(stack.down(layout)) == sorted(set(COMPONENTS) - {"triggerer"})
