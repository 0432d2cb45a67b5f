"""How a deployment is told what it is: the environment, then airflow.cfg, then defaults."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import RuntimeSpec
from understudy.contract.words import StageName
from understudy.settings import PROJECT, Settings


@pytest.fixture(autouse=True)
def airflow_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    for name in (
        "AIRFLOW_CONFIG",
        "UNDERSTUDY_HOME",
        "AIRFLOW__UNDERSTUDY__ISOLATION",
        "AIRFLOW__UNDERSTUDY__MODELS_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def configure(airflow_home: Path, text: str) -> None:
    (airflow_home / "airflow.cfg").write_text(f"[core]\nparallelism = 4\n[understudy]\n{text}\n", encoding="utf-8")


def test_without_any_setting_everything_lies_below_the_project() -> None:
    chosen = Settings()
    assert chosen.home == PROJECT / ".understudy"
    assert chosen.workspace_dir == chosen.home / "workspace"
    assert chosen.ledger == f"sqlite:///{chosen.home / 'ledger.db'}"
    assert chosen.registry == f"sqlite:///{chosen.home / 'mlflow.db'}"
    assert chosen.artifacts == (chosen.home / "mlflow-artifacts").as_uri()


def test_airflow_cfg_is_read_and_the_environment_wins(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        airflow_home, "isolation = docker\nmemory = 3g\nstage_timeout = 90m\nledger_url = postgresql://u:p%25w@db/x"
    )
    chosen = Settings()
    assert (chosen.isolation, chosen.memory, chosen.stage_timeout) == ("docker", "3g", timedelta(minutes=90))
    assert chosen.ledger == "postgresql://u:p%25w@db/x"
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "process")
    assert (Settings().isolation, Settings().memory) == ("process", "3g")


def test_another_configuration_file_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.cfg").write_text("[understudy]\nimage = team:7\n", encoding="utf-8")
    monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "other.cfg"))
    assert Settings().image == "team:7"


def test_the_home_may_be_named_in_airflow_cfg_too(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(airflow_home, "home = /srv/understudy")
    assert Settings().home == Path("/srv/understudy")
    monkeypatch.setenv("UNDERSTUDY_HOME", "/elsewhere")
    assert Settings().home == Path("/elsewhere")


def test_a_relative_home_is_the_same_for_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_HOME", "state")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", "my-models")
    monkeypatch.chdir(tmp_path)
    chosen = Settings()
    assert chosen.home == PROJECT / "state"
    assert chosen.models_dir == PROJECT / "my-models"
    assert chosen.artifacts.startswith("file:///")


@pytest.mark.parametrize(
    ("name", "value"), [("isolation", "podman"), ("memory", "lots"), ("cpus", "0"), ("stage_timeout", "an hour")]
)
def test_an_impossible_setting_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW__UNDERSTUDY__{name.upper()}", value)
    with pytest.raises(ValidationError, match=name):
        Settings()


def test_a_misspelt_setting_in_airflow_cfg_is_an_error(airflow_home: Path) -> None:
    configure(airflow_home, "isolatoin = docker")
    with pytest.raises(ValidationError, match="isolatoin"):
        Settings()


def test_a_stage_falls_back_to_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MEMORY", "7g")
    spec = ModelSpec.model_validate(
        {
            "model": "m", "owner": "o", "task": "regression", "data": {"source": "x.csv", "target": "y", "time": "t"},
            "gates": [{"metric": "mae"}], "stages": {"train": {"cpus": 4}},
        }
    )  # fmt: skip
    train = spec.runtime_of(StageName.TRAIN, Settings().runtime)
    assert isinstance(train, RuntimeSpec)
    assert (train.memory, train.cpus) == ("7g", 4)
