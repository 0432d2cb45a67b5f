import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from understudy.cli.app import app
from understudy.cli.deployment import load_dotenv
from understudy.settings import settings

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "nope"], "No model 'nope'"),
        (["ledger", "powerprice", "--at", "yesterday"], "'yesterday' is not a time"),
        (["ledger", "--why", "3"], "MODEL is missing"),
        (["ledger", "powerprice", "--why", "3", "--verify"], "exclude each other"),
        (["rollback", "powerprice", "--reason", " "], "--reason is empty"),
        (["rollback", "powerprice", "--reason", "x" * 3000], "--reason has 3,000 characters"),
        (["ledger", "powerprise"], "No model 'powerprise'"),
        (["ledger", "powerprice", "--why", "3"], "--why 3 is not a version of powerprice that the ledger knows"),
        (["ledger", "powerprise", "--why", "3"], "Did you mean 'powerprice'?"),
        (["ledger", "powerprise", "--at", "2026-01-01"], "Did you mean 'powerprice'?"),
        (["ledger", "--against", "x"], "goes with --verify only"),
        (["ledger", "--markdown"], "goes with --card only"),
        (["ledger", "--verify", "--against", "nowhere"], "is no backup"),
        (["data", "log", "powerprise"], "Did you mean 'powerprice'?"),
        (["rollback", "powerprise", "--reason", "bad"], "Did you mean 'powerprice'?"),
        (["rollback", "powerprise", "--reason", "bad", "--dry-run"], "Did you mean 'powerprice'?"),
        (["rollback", "powerprice", "--reason", "bad"], "No version of powerprice serves yet"),
        (["lock", "powerprice", "1", "--reason", "audit"], "has never served"),
        (["unlock", "powerprice", "1", "--reason", "done"], "is not locked"),
        (["retrain", "nope"], "No model 'nope'"),
        (["retrain", "powerprice", "--as-of", "2024-13-01"], "is not a time"),
        (["retrain", "powerprice"], "The embedded Airflow is not running"),
        (["data", "restore", "ffff", "--to", "x.parquet"], "No data version 'ffff'"),
        (["data", "restore", "ffff", "--to", "."], "exists already"),
        (["init", "--data", "x.csv", "--target", "y", "--name", "Bad-Name"], "is not a model's name"),
        (["init", "--data", "nowhere.csv", "--target", "y"], "nowhere.csv"),
        (["check-operator", "no.such:Thing"], "cannot be imported"),
        (["check-operator", ""], "cannot be imported"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_what_cannot_be_done_is_said_in_one_sentence(arguments: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert answer.exit_code == 1
    assert said in answer.stderr + answer.stdout
    assert "Traceback" not in answer.stderr + answer.stdout
    json.loads(answer.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "No such command"),
        (["status", "--nosuch"], "No such option"),
        (["init"], "Missing option"),
        (["ledger", "--last", "0"], "--last"),
        (["data", "restore"], "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistyped_command_is_told_in_json_too(arguments: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert answer.exit_code == 2
    assert said in json.loads(answer.stdout)["error"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AIRFLOW__UNDERSTUDY__LEDGER_URL", "rubbish:geheim@host", "is not a database URL"),
        ("AIRFLOW__UNDERSTUDY__LEDGER_URL", "nosuch://ann:geheim@host/db", "Install the Python driver of nosuch"),
        ("AIRFLOW_CONFIG", __file__, "cannot be read"),
    ],
)
def test_a_setting_that_leads_nowhere_is_said_without_its_password(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    answer = CliRunner().invoke(app, ["status", "--json"])
    assert answer.exit_code == 1
    assert said in json.loads(answer.stdout)["error"]
    assert "geheim" not in answer.output


def test_declarations_that_cannot_be_read_do_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "folder" / "model.yaml").mkdir(parents=True)
    (tmp_path / "zero").mkdir()
    (tmp_path / "zero" / "model.yaml").write_text("model: zero\x00")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path))
    answer = CliRunner().invoke(app, ["check", "--json"])
    assert answer.exit_code == 1
    problems = {one["model"]: one["problems"][0] for one in json.loads(answer.stdout)}
    assert "Is a directory" in problems["folder"]
    assert "is not valid YAML" in problems["zero"]


def test_a_home_that_cannot_be_written_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "data.csv").write_text("a,b\n" + "".join(f"{i * 7 % 5},{i % 2}\n" for i in range(400)))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "file"))
    answer = CliRunner().invoke(app, ["init", "--data", str(tmp_path / "data.csv"), "--target", "b", "--json"])
    assert answer.exit_code == 1
    assert "cannot be used: Not a directory" in json.loads(answer.stdout)["error"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "model.yaml").symlink_to("/dev/full")
    (tmp_path / "data.csv").write_text("a,b\n" + "".join(f"{i * 7 % 5},{i % 2}\n" for i in range(400)))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path))
    given = ["--data", str(tmp_path / "data.csv"), "--target", "b", "--name", "shop", "--force", "--json"]
    answer = CliRunner().invoke(app, ["init", *given])
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["error"].startswith("No space is left on the disk. Free some")


def test_a_wrong_setting_is_named_as_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "vm")
    answer = CliRunner().invoke(app, ["status"])
    assert answer.exit_code == 1
    assert "AIRFLOW__UNDERSTUDY__ISOLATION cannot be used" in answer.stderr


def test_nothing_served_yet_is_an_answer_not_an_error() -> None:
    answer = CliRunner().invoke(app, ["status", "--json"])
    assert answer.exit_code == 0
    assert {one["model"]: one["champion"] for one in json.loads(answer.stdout)}["powerprice"] is None


def test_dotenv_fills_in_what_the_environment_does_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(
        "UNDERSTUDY_HOME=state\nAIRFLOW__UNDERSTUDY__MEMORY=3g\nAIRFLOW__UNDERSTUDY__CPUS=2\n"
    )
    monkeypatch.setattr("understudy.cli.deployment.PROJECT", tmp_path)
    monkeypatch.delenv("UNDERSTUDY_HOME")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__CPUS", "1")
    # setenv, so that monkeypatch takes back what load_dotenv sets
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MEMORY", "")
    monkeypatch.delenv("AIRFLOW__UNDERSTUDY__MEMORY")
    load_dotenv()
    assert os.environ["UNDERSTUDY_HOME"] == str(tmp_path / "state")
    assert os.environ["AIRFLOW__UNDERSTUDY__MEMORY"] == "3g"
    assert os.environ["AIRFLOW__UNDERSTUDY__CPUS"] == "1"


def test_help_starts_without_what_is_heavy() -> None:
    code = (
        "import sys\nfrom understudy.cli.app import app\n"
        "heavy = {'airflow', 'mlflow', 'pandas', 'polars', 'sklearn', 'docker', 'sqlalchemy', 'httpx', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "plugins")},
    )
    assert answer.stdout.strip() == "[]"
