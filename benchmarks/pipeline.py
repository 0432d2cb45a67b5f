"""What a whole retraining of electricity costs beside the same steps in one plain script, and where time goes.

Needs the real data beside the checkout (``../shared/data``). Run: ``python benchmarks/pipeline.py [docker|process]``
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT.parent / "shared" / "data" / "electricity.csv.gz"
TRIALS = ({"learning_rate": 0.05, "max_leaf_nodes": 31}, {"learning_rate": 0.1, "max_leaf_nodes": 15})
SPEC = f"""\
model: electricity
owner: benchmark
task: binary_classification
data: {{source: {DATA}, time: timestamp, target: class, drop: [date]}}
train: {{search: {{learning_rate: {{low: 0.02, high: 0.3, log: true}}, max_leaf_nodes: {{low: 7, high: 63}}}},
        budget: 2, parallelism: 2}}
gates: [{{metric: roc_auc, floor: 0.6}}]
"""
STEPS = ("snapshot", "check", "ask_1", "trial_1", "train", "evaluate", "promote", "outcome")


def plain_script() -> dict[str, float]:
    """Do the same work in one process without any of the promises; return the seconds of each step."""
    import pickle

    import polars as pl
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.inspection import permutation_importance
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    seconds: dict[str, float] = {}

    def timed(step: str, started: float) -> float:
        seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - started
        return time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        clock = time.perf_counter()
        frame = pl.read_csv(DATA, try_parse_dates=True).sort("timestamp")
        frame.write_parquet(f"{folder}/data.parquet")
        clock = timed("snapshot", clock)
        features = [c for c in frame.columns if c not in {"timestamp", "date", "class"}]
        assert frame.null_count().sum_horizontal()[0] == 0
        assert frame["class"].is_in(["UP", "DOWN"]).all()
        frame.select(pl.col(features).min().name.suffix("_min"), pl.col(features).max().name.suffix("_max"))
        clock = timed("check", clock)
        x, y = frame.select(features).to_pandas(), (frame["class"] == "UP").to_numpy()
        end, fit_end = int(len(x) * 0.8), int(len(x) * 0.64)
        scores = []
        for params in TRIALS:
            model = HistGradientBoostingClassifier(**params, random_state=0).fit(x[:fit_end], y[:fit_end])
            scores.append(roc_auc_score(y[fit_end:end], model.predict_proba(x[fit_end:end])[:, 1]))
        clock = timed("trial_1", clock)
        best = TRIALS[scores.index(max(scores))]
        measured = HistGradientBoostingClassifier(**best, random_state=0).fit(x[:fit_end], y[:fit_end])
        permutation_importance(measured, x[fit_end:end][:5000], y[fit_end:end][:5000], scoring="roc_auc", n_repeats=5)
        final = HistGradientBoostingClassifier(**best, random_state=0).fit(x[:end], y[:end])
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x[:end], y[:end])
        Path(folder, "model.pkl").write_bytes(pickle.dumps(final))
        clock = timed("train", clock)
        for model in (final, linear):
            answers = model.predict_proba(x[end:])[:, 1]
            roc_auc_score(y[end:], answers), log_loss(y[end:], answers)
        timed("evaluate", clock)
    return seconds


def retrain(home: Path, isolation: str) -> tuple[dict[str, float], dict[str, float], float]:
    """Retrain through the real DAG; return the seconds of each task, of each stage's own work, and of the command."""
    (home / "models" / "electricity").mkdir(parents=True, exist_ok=True)
    (home / "models" / "electricity" / "model.yaml").write_text(SPEC, encoding="utf-8")
    environment = {
        **os.environ,
        "UNDERSTUDY_HOME": str(home),
        "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(home / "models"),
        "AIRFLOW__UNDERSTUDY__ISOLATION": isolation,
        "AIRFLOW__UNDERSTUDY__WORKSPACE_ON_DAEMON": str(home / "workspace"),
    }
    command = [
        str(Path(sys.executable).with_name("understudy")),
        "retrain",
        "electricity",
        "--local",
        "--json",
        "--full-search",
    ]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall_s = time.perf_counter() - started
    if done.returncode not in (0, 3):
        raise SystemExit(f"the retraining broke:\n{done.stdout}\n{done.stderr}")
    run = json.loads(done.stdout)["run"]
    database = next((home / "local").rglob("airflow.db"))
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT task_id, sum(duration) FROM task_instance WHERE run_id = ? GROUP BY task_id", (run,)
        )
        tasks = {task: float(duration or 0) for task, duration in rows}
    newest = max((home / "workspace" / "electricity").iterdir(), key=lambda folder: folder.stat().st_mtime)
    stages: dict[str, float] = {}
    for result in newest.glob("*.result.json"):
        step = result.name.split(".")[0].split("-")[0]
        stages[step] = stages.get(step, 0.0) + json.loads(result.read_text(encoding="utf-8"))["timings"]["stage_s"]
    return tasks, stages, wall_s


def main() -> None:
    """Print the table."""
    isolation = sys.argv[1] if len(sys.argv) > 1 else "docker"
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        retrain(home, isolation)  # the first run also makes the databases
        tasks, stages, wall_s = retrain(home, isolation)
    plain = plain_script()
    table = Table(title=f"One retraining of electricity, 45,312 rows, 2 trials ({isolation}; seconds)")
    for column in (
        "step",
        "plain script",
        "the task",
        "of it the stage's own work",
        "of it starting, recording, Airflow",
    ):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in STEPS:
        rest = tasks.get(step, 0.0) - stages.get(step, 0.0)
        cells = (plain.get(step), tasks.get(step), stages.get(step), rest)
        table.add_row(step, *("" if cell is None else f"{cell:.2f}" for cell in cells))
    total = sum(tasks.values())
    table.add_section()
    table.add_row(
        "all steps",
        f"{sum(plain.values()):.2f}",
        f"{total:.2f}",
        f"{sum(stages.values()):.2f}",
        f"{total - sum(stages.values()):.2f}",
    )
    table.add_row("the whole command", "", f"{wall_s:.2f}", "", f"{wall_s - total:.2f} between tasks, imports")
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
