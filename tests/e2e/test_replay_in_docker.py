"""A replay says the same, to the byte, whether its stages are containers or processes."""

import hashlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from understudy.contract.load import load_model
from understudy.contract.replay.policies import parse_policies
from understudy.contract.words import Takeover
from understudy.embedded.replay_run import Asked, replay_locally
from understudy.gateway.places import HAS_OLDER_LIBRARIES
from understudy.settings import settings

pytestmark = pytest.mark.docker

SPEC = """
model: turning
owner: team
task: binary_classification
data: {{source: {source}, time: at, target: up, window: 20d}}
train: {{estimator: logistic_regression}}
gates: [{{metric: accuracy, min_rows: 50}}]
monitor: {{window: 10d, min_rows: 50}}
"""


class Silence:
    """Show nobody how far a replay is."""

    def begin(self, what: str, total: int) -> None:
        """Pass it over."""

    def advance(self) -> None:
        """Pass it over."""


def turning(folder: Path) -> Path:
    """Write 60 days of hours; what the column means turns around on day 40."""
    draw = np.random.default_rng(0)
    a = draw.normal(size=1440)
    up = np.where(np.arange(1440) < 40 * 24, 1, -1) * a + 0.3 * draw.normal(size=1440) > 0
    rows = pd.DataFrame({"at": pd.date_range("2024-01-01", periods=1440, freq="h"), "a": a, "up": up.astype(int)})
    rows.to_csv(folder / "turning.csv", index=False)
    return folder / "turning.csv"


def replayed(source: Path) -> str:
    chosen = settings()
    folder = chosen.models_dir / "turning"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(SPEC.format(source=source), encoding="utf-8")
    asked = Asked(
        policies=parse_policies("never,quality,every"),
        start=None,
        end=None,
        step=timedelta(days=10),
        takeover=Takeover.GATES,
        parallel=1,
    )
    done = replay_locally(chosen, load_model(chosen.models_dir, "turning"), asked, Silence())
    return hashlib.sha256((done.report / "replay.json").read_bytes()).hexdigest()


@pytest.mark.skipif(
    HAS_OLDER_LIBRARIES, reason="on Python 3.10, processes have older libraries than the stage image, and other numbers"
)
def test_containers_and_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, digests = turning(tmp_path), {}
    for isolation in ("docker", "process"):
        monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / isolation))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / isolation / "models"))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", isolation)
        settings.cache_clear()
        digests[isolation] = replayed(source)
    settings.cache_clear()
    assert digests["docker"] == digests["process"]
