"""A pause that somebody set on Airflow outlasts the commands, over a stand-in for its API."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.embedded.fake_airflow import FakeAirflow, airflow
from tests.unit.hooks.demand import WHY, record
from understudy.cli.app import app
from understudy.hooks.connect import Hooks
from understudy.settings import settings

__all__ = ["airflow"]
SPEC = """\
model: demand
owner: team
task: binary_classification
data: {source: data/demand.csv, time: at, target: up}
gates: [{metric: roc_auc, floor: 0.6}]
monitor: {}
"""


@pytest.fixture(autouse=True)
def served(airflow: FakeAirflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "models" / "demand").mkdir(parents=True)
    (tmp_path / "models" / "demand" / "model.yaml").write_text(SPEC, encoding="utf-8")
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_URL", airflow.api.url)
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_TOKEN", "ann's own")
    settings.cache_clear()
    Hooks(settings()).deployments.deploy(record(1, 1), 0, WHY)
    yield
    settings.cache_clear()


def scripted(airflow: FakeAirflow, dag_id: str, *paused: bool) -> str:
    """Let Airflow know a DAG that is paused look after look; return its address."""
    dag = f"/api/v2/dags/{dag_id}"
    airflow.answers |= {
        ("GET", dag): [(200, {"is_paused": is_paused}) for is_paused in paused],
        ("PATCH", dag): [(200, {})],
        ("POST", f"{dag}/dagRuns"): [(200, {})],
    }
    return dag


def written(airflow: FakeAirflow) -> list[tuple[str, str, Any]]:
    return [asked for asked in airflow.asked if asked[0] != "GET"]


@pytest.mark.parametrize("command", ["monitor", "retrain"])
def test_a_paused_dag_is_refused_in_a_sentence_and_stays_paused(airflow: FakeAirflow, command: str) -> None:
    scripted(airflow, f"{command}__demand", True)
    answer = CliRunner().invoke(app, [command, "demand", "--json"])
    refused = json.loads(answer.stdout)
    assert (answer.exit_code, refused["kind"]) == (1, "DagPaused")
    assert f"The DAG {command}__demand is paused" in refused["error"]
    assert f"unpause it at {airflow.api.url}/dags/{command}__demand or by adding --unpause" in refused["error"]
    assert written(airflow) == []


@pytest.mark.parametrize("command", ["monitor", "retrain"])
def test_a_pause_is_lifted_before_the_run_where_the_caller_says_so(airflow: FakeAirflow, command: str) -> None:
    dag = scripted(airflow, f"{command}__demand", True, False)
    CliRunner().invoke(app, [command, "demand", "--unpause"])  # the stand-in does not know the run that begins
    unpaused, begun = written(airflow)
    assert unpaused == ("PATCH", dag, {"is_paused": False})
    assert begun[:2] == ("POST", f"{dag}/dagRuns")


@pytest.mark.parametrize("command", ["monitor", "retrain"])
def test_a_pause_is_not_lifted_for_a_run_without_airflow(airflow: FakeAirflow, command: str) -> None:
    answer = CliRunner().invoke(app, [command, "demand", "--local", "--unpause"])
    assert answer.exit_code == 1
    assert "--local and --unpause exclude each other" in answer.output
    assert airflow.asked == []
