"""From a public data file to a champion with two commands, as a data team types them."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import what_docker_lacks
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.load import load_spec
from understudy.contract.release import Bundle

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
COMMAND = [sys.executable, "-c", "from understudy.cli import main; main()"]
WITHIN_S = 900

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not DATA.is_dir(), reason=f"the public data sets are not at {DATA}")]


@dataclass(frozen=True)
class Laptop:
    """A machine with nothing but data files and the command line."""

    home: Path
    isolation: str

    def understudy(self, *arguments: str) -> Any:
        """Type a command and read its JSON answer; whatever it says, it is no traceback."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__UNDERSTUDY__")
        }
        environment |= {
            "UNDERSTUDY_HOME": str(self.home),
            "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(self.home / "models"),
            "AIRFLOW__UNDERSTUDY__ISOLATION": self.isolation,
            "PYTHONPATH": str(PLUGINS),
            "OMP_NUM_THREADS": "1",
        }
        answer = subprocess.run(
            [*COMMAND, *arguments, "--json"], env=environment, cwd=self.home, capture_output=True, text=True,
            check=False, timeout=WITHIN_S,
        )  # fmt: skip
        assert "Traceback" not in answer.stdout + answer.stderr
        assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr[-2000:]
        return json.loads(answer.stdout)

    def declare(self, name: str, target: str, time: str | None) -> ModelSpec:
        dated = ["--time", time] if time else []
        written = self.understudy("init", "--data", str(DATA / f"{name}.csv.gz"), "--target", target, *dated)
        assert written["notes"]
        path = Path(written["path"])
        # What an answer takes on a machine that runs other tests beside says nothing about the model.
        patient, gates = re.subn(r"(latency_p95_ms, ceiling: )\d+", r"\g<1>5000", path.read_text(encoding="utf-8"))
        assert gates == 1
        path.write_text(patient, encoding="utf-8")
        return load_spec(path)

    def search_less(self, name: str) -> None:
        """Declare two trials and fewer trees, as one does who is in a hurry."""
        path = self.home / "models" / name / "model.yaml"
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"^  budget: \d+$", "  budget: 2", text, flags=re.MULTILINE)
        text = re.sub(
            r"^(  estimator: hist_gradient_boosting)\b.*$", r"\1\n  params: {max_iter: 40}", text, flags=re.MULTILINE
        )
        path.write_text(text, encoding="utf-8")
        assert load_spec(path).train.budget == 2

    def retrain(self, name: str) -> Any:
        return self.understudy("retrain", name, "--local")

    def ledger(self, name: str) -> dict[str, Any]:
        """Map each kind of entry to the last one's facts."""
        return {entry["kind"]: entry["facts"] for entry in self.understudy("ledger", name)}


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    """Give a fresh machine, which keeps what the tests before did on it."""
    return Laptop(tmp_path_factory.mktemp("laptop"), "docker" if what_docker_lacks() is None else "process")


def test_electricity_becomes_a_champion_whose_numbers_lead_to_the_data(laptop: Laptop, tmp_path: Path) -> None:
    laptop.declare("electricity", "class", "timestamp")
    ended = laptop.retrain("electricity")
    assert (ended["outcome"], ended["champion"]) == ("promoted", 1)

    told = laptop.ledger("electricity")
    judged, deployed = told["judged"], told["deployed"]["deployment"]
    champion = Bundle.model_validate(deployed["champion"])
    assert champion.image_digest.startswith("process:" if laptop.isolation == "process" else "sha256:")
    answers = {answer["gate"]: answer for answer in judged["judgement"]["results"]}
    assert 0.8 < answers["roc_auc.floor"]["measured"] < 0.95
    assert deployed["blessing"] == told["blessed"]
    assert told["blessed"]["judgement_sha256"] == judged["judgement_sha256"]
    assert judged["data_version"] == champion.data_version == told["data_judged"]["data_version"]

    restored = tmp_path / "restored.parquet"
    laptop.understudy("data", "restore", champion.data_version, "--to", str(restored))
    assert hashlib.sha256(restored.read_bytes()).hexdigest() == champion.data_version
    assert laptop.understudy("ledger", "--verify")["ok"] is True


@pytest.mark.parametrize(
    ("name", "target", "time", "leaks"),
    [
        ("bike_hour", "cnt", "timestamp", {"casual", "registered"}),
        ("insects_gradual", "species", "timestamp", set()),
        ("adult", "income-per-year", None, set()),
        ("bank_marketing", "y", None, {"duration"}),
    ],
)
def test_a_public_data_set_becomes_a_champion_without_its_leaks(
    laptop: Laptop, name: str, target: str, time: str | None, leaks: set[str]
) -> None:
    spec = laptop.declare(name, target, time)
    assert leaks <= set(spec.data.drop)
    laptop.search_less(name)
    ended = laptop.retrain(name)
    assert ended["outcome"] == "promoted", ended["sentence"]

    told = laptop.ledger(name)
    assert not leaks & {feature["feature"] for feature in told["trained"]["training"]["importance"]}
    beaten = {
        answer["gate"]: answer["measured"]
        for answer in told["judged"]["judgement"]["results"]
        if answer["gate"].startswith("beats_")
    }
    assert beaten
    assert min(beaten.values()) > 0
