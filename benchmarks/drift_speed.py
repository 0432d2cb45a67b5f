"""Measure a look at drift beside Evidently on the full frame: reference and current window, N rows × 50 columns each.

``stage`` is the whole drift stage: calibration on the reference's own windows, exact counts, distances on samples, the
champion's answers, the classifier, declared checks and both pages. ``evidently`` reads both windows with pandas and
runs its drift preset on all rows, with its page. Each runs in a process of its own; seconds are measured after the
imports and include reading the files, the peak is that of the whole process.

``python benchmarks/drift_speed.py [--rows N ...]``; 100,000 rows unless told otherwise. Evidently is not run beyond
1,000,000 rows: there it takes more than five minutes and several GB for 50 columns already.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

NUMBERS, LEVELS = 40, 10
PIECE = 500_000
EVIDENTLY_ROWS = 1_000_000
GOAL_MB = 2048
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
SPEC: dict[str, Any] = {
    "model": "m",
    "owner": "o",
    "task": "binary_classification",
    "data": {"source": "a.parquet", "target": "y", "time": "at"},
    "train": {"estimator": "logistic_regression"},
    "checks": {"columns": {f"n{i}": {"min": -50, "max": 50} for i in range(NUMBERS)}},
    "gates": [{"metric": "roc_auc"}],
    "monitor": {"window": "30d"},
}


def make(folder: Path, rows: int) -> None:
    """Write both windows piece by piece, and train a champion on the first rows."""
    import pyarrow.parquet as pq

    step = timedelta(days=365) / rows
    for name, start, seed in (("reference", START, 0), ("current", START + timedelta(days=366), 1)):
        writer = None
        for first in range(0, rows, PIECE):
            table = piece(min(PIECE, rows - first), start + first * step, step, seed + 2 * first).to_arrow()
            writer = writer or pq.ParquetWriter(folder / f"{name}.parquet", table.schema, compression="zstd")
            writer.write_table(table, row_group_size=131_072)
        if writer is not None:
            writer.close()
    from understudy.stages.train import run as train

    piece(2_000, START, step, 0).write_parquet(folder / "data.parquet")
    output = train(context("train", {"data.parquet": folder / "data.parquet"}, folder / "trained"))
    (folder / "training.json").write_text(json.dumps(output.report.model_dump(mode="json")))  # type: ignore[union-attr]


def piece(rows: int, start: datetime, step: timedelta, seed: int) -> Any:
    import numpy as np
    import polars as pl

    draw = np.random.default_rng(seed)
    numbers = {f"n{i}": draw.normal(size=rows) for i in range(NUMBERS)}
    texts = np.array([f"v{i}" for i in range(30)])
    at = np.datetime64(start.replace(tzinfo=None), "us") + np.arange(rows) * np.timedelta64(step)
    levels = {f"c{i}": pl.Series(texts[draw.integers(0, 30, rows)]) for i in range(LEVELS)}
    label = pl.Series(np.where(numbers["n0"] + draw.normal(size=rows) > 0, "yes", "no"))
    return pl.DataFrame({"at": at, "y": label, **numbers, **levels}).with_columns(
        pl.col("at").dt.replace_time_zone("UTC")
    )


def context(stage: str, inputs: dict[str, Path], outputs: Path) -> Any:
    from understudy.contract.stage import StageRequest
    from understudy.stages.context import StageContext

    outputs.mkdir(exist_ok=True)
    as_of = START + timedelta(days=800)
    return StageContext(StageRequest(stage=stage, model="m", run="r", as_of=as_of, spec=SPEC), inputs, outputs)


def run_stage(folder: Path) -> None:
    from understudy.stages.drift.stage import run

    files = {name: folder / name for name in ("reference.parquet", "current.parquet", "training.json")}
    run(context("drift", {**files, "champion": folder / "trained" / "model"}, folder / "out"))


def run_evidently(folder: Path) -> None:
    os.environ["DO_NOT_TRACK"] = "1"
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(
        numerical_columns=[f"n{i}" for i in range(NUMBERS)], categorical_columns=[f"c{i}" for i in range(LEVELS)]
    )
    sides = [
        Dataset.from_pandas(
            pd.read_parquet(folder / f"{name}.parquet").drop(columns=["at", "y"]), data_definition=definition
        )
        for name in ("current", "reference")
    ]
    report = Report([DataDriftPreset(num_method="wasserstein", cat_method="jensenshannon")])
    snapshot = report.run(current_data=sides[0], reference_data=sides[1])
    snapshot.dict()
    snapshot.save_html(str(folder / "full.html"))


WAYS = {"stage": run_stage, "evidently": run_evidently}


def one(way: str, folder: Path) -> None:
    """Run one way in this process and print what it took."""
    warnings.simplefilter("ignore")
    import evidently.presets  # noqa: F401 - both ways need it, and its import is measured in neither
    import polars  # noqa: F401
    import sklearn  # noqa: F401

    wall, cpu = time.perf_counter(), time.process_time()
    WAYS[way](folder)
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps({**took, "peak_mb": peak}))


def measured(way: str, folder: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--one", way, str(folder)], stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a line for each size and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one[0], Path(asked.one[1]))
        return
    print(f"{'rows':>12} {'way':<10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}")
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as scratch:
            make(Path(scratch), rows)
            for way in WAYS:
                if way == "evidently" and rows > EVIDENTLY_ROWS:
                    print(f"{rows:>12,} {way:<10} not run: more than five minutes and several GB at a million rows")
                    continue
                took = measured(way, Path(scratch))
                goal = "" if way != "stage" or took["peak_mb"] <= GOAL_MB else f"  above the goal of {GOAL_MB}"
                print(
                    f"{rows:>12,} {way:<10} {took['wall_s']:>8.1f} {took['cpu_s']:>8.1f} {took['peak_mb']:>8.0f}{goal}"
                )


if __name__ == "__main__":
    main()
