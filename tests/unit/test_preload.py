"""What the processes of parsers and tasks inherit."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

import pytest
from airflow.jobs.job import Job

from understudy import preload

DAGS_FOLDER = Path(__file__).resolve().parents[2] / "dags"
PLUGINS_FOLDER = DAGS_FOLDER.with_name("plugins")
LOADED_BY_A_PARSER = """
import runpy, sys
from importlib import import_module
import airflow.sdk
from understudy import preload
for name in preload.DAGS:
    import_module(name)
before = set(sys.modules)
for path in sys.argv[1:]:
    runpy.run_path(path)
print(sorted(name for name in set(sys.modules) - before if name.startswith("understudy")))
"""


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(preload, "import_module", names.append)
    return names


def test_the_scheduler_imports_what_its_tasks_need(imported: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["airflow", "scheduler"])
    preload.on_starting(Job())
    assert set(imported) == {*preload.DAGS, *preload.TASKS}


def test_others_import_what_dags_are_made_of(imported: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["airflow", "dag-processor"])
    preload.on_starting(Job())
    assert set(imported) == set(preload.DAGS)


def test_a_task_that_starts_imports_nothing(imported: list[str]) -> None:
    preload.on_starting(object())
    assert imported == []


def test_nothing_of_ours_is_left_to_import_for_a_parser() -> None:
    command = [sys.executable, "-c", LOADED_BY_A_PARSER, *map(str, sorted(DAGS_FOLDER.glob("*.py")))]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("folder", "is_named"), [(PLUGINS_FOLDER, False), (Path("/elsewhere"), True)])
def test_airflow_finds_the_listener_once(folder: Path, is_named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(folder))
    found = run_path(str(PLUGINS_FOLDER / "understudy_plugin.py"))
    assert found["UnderstudyPlugin"].listeners == [preload]
    assert (found["INSTALLED"] is found["UnderstudyPlugin"]) is is_named


@pytest.mark.parametrize("name", preload.TASKS)
def test_what_is_imported_beforehand_exists(name: str) -> None:
    assert find_spec(name) is not None
