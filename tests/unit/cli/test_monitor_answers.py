"""`understudy monitor` says by its exit code what a look decided."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from understudy.cli.app import app
from understudy.cli.monitor import seen_of
from understudy.settings import settings

LOOKED: dict[str, Any] = {
    "sentence": "wind moved", "verdict": "failed", "is_blind": False, "is_due": False, "reasons": [], "held_back": None,
    "rolled_back_to": None, "ledger_seq": 7,
}  # fmt: skip
SPEC = """\
model: prices
owner: team
task: binary_classification
data: {source: data/prices.csv, time: at, target: up}
gates: [{metric: roc_auc, floor: 0.6}]
"""


@pytest.mark.parametrize(
    ("looked", "code"),
    [
        (LOOKED, 0),
        ({**LOOKED, "is_due": True, "reasons": ["drift"]}, 6),
        ({**LOOKED, "is_blind": True, "verdict": "inconclusive"}, 7),
        ({**LOOKED, "is_blind": True, "is_due": True, "reasons": ["staleness"]}, 6),
        (None, 1),
    ],
    ids=["nothing due", "due", "nobody can say", "due without seeing", "broken"],
)
def test_each_end_has_its_exit_code(looked: Any, code: int) -> None:
    assert seen_of("prices", "run", looked, "log").exit_code == code


@pytest.mark.parametrize(
    ("more", "told"), [("", "has no monitor section"), ("monitor: {}\n", "has no champion yet")],
    ids=["not declared", "nobody serves"],
)  # fmt: skip
def test_what_cannot_be_looked_at_is_said_at_once(
    more: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "prices").mkdir(parents=True)
    (tmp_path / "models" / "prices" / "model.yaml").write_text(SPEC + more, encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    answer = CliRunner().invoke(app, ["monitor", "prices", "--local"])
    settings.cache_clear()
    assert answer.exit_code != 0
    assert told in " ".join(answer.output.split())
