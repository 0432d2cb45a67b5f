"""How fast a replay is: trainings a minute on Elec2 in weekly steps, with one worker and with two.

Each row is a replay of its own in a home of its own, stages as processes. The last line is a second replay with other
policies, which finds every training remembered. Run: ``python benchmarks/replay_speed.py``
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT.parent / "shared" / "data" / "electricity.csv.gz"
SPEC = f"""\
model: electricity
owner: benchmark
task: binary_classification
data: {{source: {DATA}, time: timestamp, target: class, window: 112d, drop: [date]}}
train: {{estimator: logistic_regression}}
evaluate: {{must_beat: [dummy]}}
gates: [{{metric: accuracy}}]
"""
STEPS = 60
BETWEEN = ("--from", "1996-09-01", "--to", "1997-10-31", "--step", "7d", "--takeover", "always")


def replay(home: Path, workers: int, policies: str) -> float:
    """Replay once and return the seconds that it took."""
    models = home / "models" / "electricity"
    models.mkdir(parents=True, exist_ok=True)
    (models / "model.yaml").write_text(SPEC, encoding="utf-8")
    environment = {
        **os.environ,
        "UNDERSTUDY_HOME": str(home),
        "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(home / "models"),
        "AIRFLOW__UNDERSTUDY__ISOLATION": "process",
        "PYTHONPATH": str(PROJECT / "plugins"),
    }
    command = [sys.executable, "-m", "understudy.cli", "replay", "electricity", "--policy", policies, *BETWEEN]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--parallel", str(workers), "--json"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    if not DATA.is_file():
        print(f"The public data sets are not at {DATA.parent}; nothing is measured.")
        return
    table = Table(title=f"Replay of Elec2, {STEPS} weekly trainings")
    for column in ("workers", "seconds", "trainings a minute", "efficiency"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        alone = replay(Path(one), 1, "never,schedule:4w,every")
        table.add_row("1", f"{alone:.0f}", f"{STEPS / alone * 60:.0f}", "100%")
        both = replay(Path(two), 2, "never,schedule:4w,every")
        table.add_row("2", f"{both:.0f}", f"{STEPS / both * 60:.0f}", f"{alone / both / 2:.0%}")
        again = replay(Path(two), 2, "never,schedule:8w,every")
        table.add_row("2, remembered", f"{again:.0f}", "–", "–")
    Console().print(table)


if __name__ == "__main__":
    main()
