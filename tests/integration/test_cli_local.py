"""``understudy retrain --local`` and what tells about it afterwards, as a person or a CI job calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from understudy.contract.cards.text import markdown
from understudy.contract.words import LinkKind, Verdict
from understudy.hooks.cards import card_of_entry
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import PROJECT

ROWS = 3000
SPEC: dict[str, Any] = {
    "model": "windmill",
    "owner": "market-ml",
    "task": "binary_classification",
    "data": {"source": "", "time": "at", "target": "up", "window": "100d"},
    "checks": {"columns": {"wind": {"min": -50, "max": 50}}},
    "train": {"estimator": "decision_tree", "params": {"max_depth": 6}},
    "evaluate": {"must_beat": ["dummy"]},
    "gates": [{"metric": "roc_auc", "floor": 0.6, "margin": 0.05}],
}


class Shell:
    """A terminal in a deployment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec = {**SPEC, "data": {**SPEC["data"], "source": str(folder / "windmill.csv")}}

    def declare(self, **sections: Any) -> None:
        path = self.folder / "models" / "windmill" / "model.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({**self.spec, **sections}, sort_keys=False), encoding="utf-8")

    def deliver(self, frame: pd.DataFrame) -> None:
        frame.to_csv(self.folder / "windmill.csv", index=False)

    def type(self, *words: str, expect: int = 0) -> Any:
        answer = subprocess.run(
            [sys.executable, "-c", "from understudy.cli import main; main()", *words, "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
                "PYTHONPATH": str(PROJECT / "plugins"),
                "UNDERSTUDY_HOME": str(self.folder / "home"),
                "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(self.folder / "models"),
                "AIRFLOW__UNDERSTUDY__ISOLATION": "process",
            },
        )
        assert answer.returncode == expect, answer.stdout + answer.stderr
        return json.loads(answer.stdout)

    def retrain(self, day: str, expect: int, *options: str) -> Any:
        return self.type(
            "retrain", "windmill", "--local", "--as-of", day, "--reason", f"of {day}", *options, expect=expect
        )


def hourly() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    wind, sun = rng.normal(size=ROWS), rng.normal(size=ROWS)
    up = (np.sin(2 * wind) + sun * (wind > 0) + 0.4 * rng.normal(size=ROWS) > 0).astype(int)
    at = pd.date_range("2026-01-01", periods=ROWS, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    return pd.DataFrame({"at": at, "wind": wind.round(4), "sun": sun.round(4), "up": up})


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("shell"))
    shell.declare()
    shell.deliver(hourly())
    return shell


def test_a_model_lives_through_the_command_line(shell: Shell) -> None:
    first = shell.retrain("2026-03-20", 0)
    assert (first["outcome"], first["champion"]) == ("promoted", first["version"])
    assert Path(first["log"]).is_file()

    spoilt = hourly()
    spoilt.loc[ROWS // 2 :, "wind"] *= 1000
    shell.deliver(spoilt)
    refused = shell.retrain("2026-04-20", 4)
    assert (refused["outcome"], refused["champion"]) == ("data_refused", first["version"])
    assert "wind" in refused["sentence"]

    shell.deliver(hourly())
    second = shell.retrain("2026-04-20", 0)
    assert second["champion"] == second["version"] != first["version"]

    status = shell.type("status", "windmill")[0]
    assert (status["champion"]["version"], status["previous"]) == (second["version"], first["version"])
    assert status["champion"]["why"] == "of 2026-04-20"
    assert status["last_run"]["outcome"] == "promoted"

    again = shell.retrain("2026-04-20", 0)
    assert (again["outcome"], again["champion"]) == ("unchanged", second["version"])
    assert again["version"] == second["version"] + 1

    plan = shell.type("rollback", "windmill", "--reason", "complaints", "--dry-run")
    assert plan["target"]["version"] == first["version"]
    record = shell.type("rollback", "windmill", "--reason", "complaints")
    assert (record["change"], record["champion"]["version"]) == ("rollback", first["version"])

    kinds = [entry["kind"] for entry in shell.type("ledger", "windmill", "--why", str(second["version"]))]
    assert kinds[0] == "triggered"
    assert {"trained", "judged", "blessed", "deployed", "denied"} <= set(kinds)
    assert shell.type("ledger", "--verify")["ok"]

    _cards_tell_everything(shell, first["version"], second["version"])

    versions = [version["sha256"] for version in shell.type("data", "log", "windmill")]
    assert record["champion"]["data_version"] in versions
    restored = shell.type("data", "restore", versions[0][:10], "--to", str(shell.folder / "again.parquet"))
    assert len(pd.read_parquet(restored["file"])) > 1000
    assert shell.type("data", "diff", versions[0], versions[-1])["rows_added"] > 0


def _cards_tell_everything(shell: Shell, first: int, second: int) -> None:
    ledger = Ledger(f"sqlite:///{shell.folder / 'home' / 'ledger.db'}")
    cards = [card_of_entry(ledger, entry) for entry in ledger.entries("windmill")]
    assert [card.missing for card in cards] == [()] * len(cards)
    assert all(markdown(card) for card in cards)
    titles = [card.title for card in cards]
    assert f"Version {second} was promoted over version {first}" in titles
    assert titles[-1].startswith(f"Version {first} serves")
    assert f"Version {second} was rolled back; version {first} serves again" in titles

    refused = next(card for card in cards if card.title == "The retraining ended: its data were refused")
    asked = {answer.gate: answer for evidence in refused.evidence for answer in evidence.answers}
    assert asked["bad_rows"].verdict is Verdict.FAILED
    assert asked["bad_rows"].measured == pytest.approx(0.45, abs=0.05)
    assert any("the last accepted window had" in note for note in refused.data_notes)

    promoted = shell.type("ledger", "--card", str(cards[titles.index(f"The retraining promoted version {second}")].seq))
    assert promoted["fired"] == "of 2026-04-20"
    primary = promoted["metrics"][0]
    assert primary["metric"] == "roc_auc"
    assert primary["challenger"] > 0.6 < primary["other"]
    of_looks = {LinkKind.LOOK_REPORT, LinkKind.WINDOW}
    assert {link["kind"] for link in promoted["links"]} == {kind.value for kind in LinkKind if kind not in of_looks}
    assert f"{answer_of(promoted, 'roc_auc.floor')['measured']:.2f}" == f"{primary['challenger']:.2f}"


def answer_of(card: Any, gate: str) -> Any:
    return next(answer for one in card["evidence"] for answer in one["answers"] if answer["gate"] == gate)
