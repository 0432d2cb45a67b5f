"""A replay as a run of its DAG, then on the command line: the same trainings, the same bytes, the ledger knows."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.integration.conftest import Site
from understudy.cli.app import app
from understudy.contract.words import EntryKind

MODEL = "turning"
POLICIES = "never,quality,every"


def turning() -> pd.DataFrame:
    """Simulate 60 days of hours; what the column means turns around on day 40."""
    draw = np.random.default_rng(0)
    a = draw.normal(size=1440)
    sign = np.where(np.arange(1440) < 40 * 24, 1, -1)
    up = (sign * a + 0.3 * draw.normal(size=1440) > 0).astype(int)
    return pd.DataFrame({"at": pd.date_range("2024-01-01", periods=1440, freq="h"), "a": a, "up": up})


@pytest.fixture
def site(tmp_path: Path, airflow_database: None) -> Site:
    site = Site(tmp_path)
    source = site.deliver(MODEL, turning())
    site.declare(
        MODEL,
        data={"source": str(source), "time": "at", "target": "up", "window": "15d"},
        train={"estimator": "logistic_regression"},
        gates=[{"metric": "accuracy", "min_rows": 50}],
        monitor={"window": "5d", "min_rows": 50},
    )
    return site


def typed(site: Site, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capsys.readouterr()  # what Airflow said of runs before
    with site.here():
        app(["replay", MODEL, "--policy", POLICIES, "--step", "5d", *arguments, "--json"], standalone_mode=False)
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_the_dag_and_the_command_line_find_the_same(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run = site.run("replay", "operations", {}, {"model": MODEL, "policies": POLICIES, "step": "5d"})
    assert run.state == "success", run.tasks
    assert run.returned["report"]["recommendation"]["policy"] in POLICIES.split(",")
    kept = next((site.home / "workspace" / MODEL).glob("replay-*"))
    by_dag = next((site.home / "workspace" / MODEL / run.key / "report").rglob("replay.json")).read_bytes()

    # Killed in the middle: two trainings are gone, the others are taken up.
    trainings = sorted((kept / "trainings").glob("*.npz"))
    for lost in trainings[3:5]:
        lost.unlink()
    told = typed(site, capsys, "--out", str(site.home / "out"))
    assert told["trained_now"] == 2
    assert (site.home / "out" / "replay.json").read_bytes() == by_dag
    assert (site.home / "out" / "quality.png").stat().st_size > 0

    entries = site.hooks.ledger.entries(model=MODEL, kinds=(EntryKind.REPLAYED,))
    assert len(entries) == 2
    assert entries[0].facts["report_sha256"] == entries[1].facts["report_sha256"]

    shutil.rmtree(kept)
    assert typed(site, capsys)["trained_now"] == len(trainings)
