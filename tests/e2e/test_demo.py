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
        (2, 2, []),
        (3, 2, []),
        (4, 2, []),
        (5, 1, []),
    ]
    assert "was declined" in told["rows"][3]["happened"]
    assert "price" in told["rows"][2]["happened"]
    assert told["running"] is None  # stopped again
    assert not (tmp_path / "home" / "demo" / "running.json").exists()
