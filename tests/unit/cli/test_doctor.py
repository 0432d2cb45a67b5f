"""`understudy doctor` finds what is missing and names the way out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from understudy.cli.app import app
from understudy.settings import settings

SPEC = """\
model: prices
owner: team
task: binary_classification
data: {source: data/prices.csv, time: at, target: up}
gates: [{metric: roc_auc, floor: 0.6}]
stages: {train: {image: "team/never-built:1"}}
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "models" / "prices").mkdir(parents=True)
    (tmp_path / "models" / "prices" / "model.yaml").write_text(SPEC, encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    yield tmp_path
    settings.cache_clear()


def findings() -> dict[str, list[dict[str, str]]]:
    settings.cache_clear()
    answer = CliRunner().invoke(app, ["doctor", "--json"])
    told: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(answer.stdout):
        told.setdefault(finding["about"], []).append(finding)
    return told


@pytest.mark.docker
def test_an_image_that_only_one_model_names_is_looked_for(models: Path) -> None:
    images = {finding["found"]: finding["severity"] for finding in findings()["image"]}
    assert images["the image team/never-built:1 of prices is missing"] == "broken"


def test_a_dead_engine_is_broken_only_where_it_must_answer(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert findings()["docker"][0]["severity"] == "note"
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "docker")
    (docker,) = findings()["docker"]
    assert docker["severity"] == "broken"
    assert "Start Docker" in docker["way_out"]


def test_the_engine_of_a_connection_is_not_mistaken_for_the_local_one(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__DOCKER_CONN_ID", "far")
    assert "'far'" in findings()["docker"][0]["found"]
