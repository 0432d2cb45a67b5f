"""Ctrl-C during ``understudy retrain --local``: who stops a run does not find its challenger promoted later."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml

from understudy.contract.words import EntryKind
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import PROJECT

TRAINER = """import time
from pathlib import Path

from sklearn.tree import DecisionTreeClassifier


def train(frame, params, context):
    print("fitting has begun", flush=True)
    time.sleep(params["sleep"])
    return DecisionTreeClassifier(max_depth=2).fit(frame[list(context.features)], frame[context.target])
"""
SPEC: dict[str, Any] = {
    "model": "slow",
    "owner": "market-ml",
    "task": "binary_classification",
    "data": {"source": "", "time": "at", "target": "up"},
    "train": {
        "trainer": "trainer.py:train",
        "params": {"sleep": 3600},
        "search": {"depth": {"low": 1, "high": 4}},
        "budget": 2,
        "parallelism": 1,
    },
    "evaluate": {"must_beat": []},
    "gates": [{"metric": "roc_auc", "floor": 0.1}],
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    rng = np.random.default_rng(3)
    at = pd.date_range("2026-01-01", periods=400, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    wind = rng.normal(size=400)
    frame = pd.DataFrame({"at": at, "wind": wind.round(4), "up": (wind + rng.normal(size=400) > 0).astype(int)})
    frame.to_csv(tmp_path / "slow.csv", index=False)
    folder = tmp_path / "models" / "slow"
    folder.mkdir(parents=True)
    spec = {**SPEC, "data": {**SPEC["data"], "source": str(tmp_path / "slow.csv")}}
    (folder / "model.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    (folder / "trainer.py").write_text(TRAINER, encoding="utf-8")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "PYTHONPATH": str(PROJECT / "plugins"),
        "UNDERSTUDY_HOME": str(tmp_path / "home"),
        "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(tmp_path / "models"),
        "AIRFLOW__UNDERSTUDY__ISOLATION": "process",
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_ends_its_stage_and_begins_no_other(
    environment: dict[str, str], number: signal.Signals, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", "from understudy.cli import main; main()", "retrain", "slow", "--local", "--json"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        jobs = tmp_path / "home" / "workspace" / ".jobs"
        _until(lambda: run.poll() is not None or _is_fitting(tmp_path / "home"))
        stages = _processes_below(tmp_path / "home")
        run.send_signal(number)
        told, said = run.communicate(timeout=120)
    assert run.returncode == 128 + number, told + said
    assert json.loads(told)["kind"] == "RunStopped"
    assert stages
    psutil.wait_procs(stages, timeout=10)
    assert _processes_below(tmp_path / "home") == []
    assert list(jobs.iterdir()) == []
    entries = Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}").entries("slow")
    kinds = [entry.kind for entry in entries]
    assert kinds[0] is EntryKind.TRIGGERED
    assert not {EntryKind.TRAINED, EntryKind.JUDGED, EntryKind.DEPLOYED} & set(kinds)


def test_an_unreadable_ledger_is_told_before_anything_runs(environment: dict[str, str], tmp_path: Path) -> None:
    ledger = tmp_path / "home" / "ledger.db"
    ledger.parent.mkdir()
    ledger.write_bytes(b"no database" * 1000)
    command = [sys.executable, "-c", "from understudy.cli import main; main()", "retrain", "slow", "--local", "--json"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (said.returncode, json.loads(said.stdout)["kind"]) == (1, "LedgerUnavailable")
    assert not (tmp_path / "home" / "workspace").exists()


def _is_fitting(home: Path) -> bool:
    return any("fitting has begun" in log.read_text(errors="replace") for log in home.glob("local/**/*.log"))


def _processes_below(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(home / "workspace") in " ".join([process.cwd(), *process.cmdline()]):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _until(is_so: Any) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.2)
    raise AssertionError("it never came to that")
