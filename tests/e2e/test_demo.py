"""The story of ``make demo`` on a real scheduler, from an empty directory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.settings import PROJECT


@pytest.mark.e2e
def test_the_story_ends_as_promised(tmp_path: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_") or "UNDERSTUDY" in name
    }
    answer = subprocess.run(
        [sys.executable, "-c", "from understudy.cli import main; main()", "demo", "--no-keep-running", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
        env={**kept, "PYTHONPATH": str(PROJECT / "plugins"), "UNDERSTUDY_HOME": str(tmp_path / "home")},
    )
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]
    told = json.loads(answer.stdout)
    assert told["ok"]
    assert [(row["act"], row["champion"], row["contradictions"]) for row in told["rows"]] == [
        (1, 1, []),
        (2, 1, []),
        (3, 1, []),
        (4, 3, []),
        (5, 1, []),
        (6, 1, []),
    ]
    happened = [row["happened"] for row in told["rows"]]
    assert "was declined" in happened[1]
    assert "nothing to do" in happened[2] or "no retraining is due" in happened[2]
    assert "version 3 was taken back and version 1 serves again" in happened[4]
    assert "price" in happened[5]
    # Callers were there all the time, some were answered by each champion, and nobody was turned away.
    assert [row["live"]["failed"] for row in told["rows"]] == [0] * 6
    assert set(told["rows"][3]["live"]["versions"]) == set(told["rows"][4]["live"]["versions"]) == {"1", "3"}
    assert told["live"]["requests"] == told["live"]["statuses"]["200"]
    assert told["labels"] > 0
    assert told["reversal"]["version"] == 3
    assert told["reversal"]["flip_ms"] > 0
    assert told["running"] is None  # stopped again
    assert not (tmp_path / "home" / "demo" / "running.json").exists()
    assert not (tmp_path / "home" / "demo" / "gateway" / "address").exists()
