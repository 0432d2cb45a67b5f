"""Compare the data check with plain polars, pandera and others: the same checks on 1,000,000 rows × 20 columns.

Each way runs in a process of its own. CPU and wall seconds are measured after the imports and include reading the file;
the peak is that of the whole process minus what it held after the imports.

``python benchmarks/data_check.py [--rows N]``
"""

import argparse
import importlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LEVELS = ["v0", "v1", "v2", "v3"]
NUMBERS, CATEGORIES = 13, 4
LOW, HIGH = -10.0, 10.0
GOAL = 2.0


def make(folder: Path, rows: int) -> None:
    """Write 13 numbers, 4 categories, an id, a time and a label, of which 0.5 % of one number is out of range."""
    import numpy as np
    import polars as pl

    dice = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "at": pl.datetime_range(
                pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 1) + pl.duration(seconds=rows - 1), "1s", eager=True
            ),
            "id": np.arange(rows),
            "y": dice.choice(["a", "b"], rows),
            **{f"n{i}": np.clip(dice.normal(size=rows), -9, 9).round(6) for i in range(NUMBERS)},
            **{f"c{i}": dice.choice(LEVELS, rows) for i in range(CATEGORIES)},
        }
    ).with_columns(n0=pl.when(pl.int_range(rows) % 200 == 0).then(50.0).otherwise("n0"))
    frame.with_columns(pl.col("at").dt.replace_time_zone("UTC")).write_parquet(
        folder / "data.parquet", row_group_size=131_072
    )
    frame.write_csv(folder / "data.csv")


def spec() -> dict[str, object]:
    columns: dict[str, dict[str, Any]] = {"id": {"unique": True}} | {
        f"n{i}": {"min": LOW, "max": HIGH, "max_null_share": 0.0} for i in range(NUMBERS)
    }
    columns |= {f"c{i}": {"allowed": LEVELS} for i in range(CATEGORIES)}
    return {
        "model": "m",
        "owner": "o",
        "task": "binary_classification",
        "gates": [{"metric": "roc_auc"}],
        "data": {"source": "data.csv", "target": "y", "time": "at"},
        "checks": {"columns": columns},
    }


def plain_polars(folder: Path, kind: str) -> Callable[[], int]:
    import polars as pl

    def run() -> int:
        lazy = (
            pl.scan_parquet(folder / "data.parquet")
            if kind == "parquet"
            else pl.scan_csv(folder / "data.csv", try_parse_dates=True)
        )
        asked = [
            (~pl.col(f"n{i}").is_between(LOW, HIGH) | pl.col(f"n{i}").is_null()).sum().alias(f"n{i}")
            for i in range(NUMBERS)
        ]
        asked += [(~pl.col(f"c{i}").is_in(LEVELS)).sum().alias(f"c{i}") for i in range(CATEGORIES)]
        asked += [(pl.len() - pl.col("id").n_unique()).alias("id")]
        return int(lazy.select(asked).collect(engine="streaming").sum_horizontal()[0])

    return run


def plain_polars_all(folder: Path, kind: str) -> Callable[[], int]:
    """Do in memory and by hand all that the stage does: check, profile, hash, split and write."""
    import polars as pl

    def run() -> int:
        frame = (
            pl.read_parquet(folder / "data.parquet")
            if kind == "parquet"
            else pl.read_csv(folder / "data.csv", try_parse_dates=True)
        )
        numbers, features = (
            [f"n{i}" for i in range(NUMBERS)],
            [*(f"n{i}" for i in range(NUMBERS)), *(f"c{i}" for i in range(CATEGORIES)), "id"],
        )
        bad = pl.any_horizontal(
            *(~pl.col(n).is_between(LOW, HIGH) | pl.col(n).is_null() for n in numbers),
            *(~pl.col(f"c{i}").is_in(LEVELS) for i in range(CATEGORIES)),
            ~pl.col("id").is_first_distinct(),
        )
        frame = frame.with_columns(bad=bad)
        frame.hash_rows().n_unique()
        votes = pl.DataFrame({"row": frame.select(features).hash_rows(), "y": frame["y"]}).filter(
            pl.col("row").is_duplicated()
        )
        votes.group_by("row", "y").len()
        frame.select(
            pl.all().null_count().name.prefix("0"),
            pl.all().approx_n_unique().name.prefix("1"),
            pl.col(numbers).mean().name.prefix("2"),
            pl.col(numbers).std().name.prefix("3"),
            pl.col(numbers).min().name.prefix("4"),
            pl.col(numbers).max().name.prefix("5"),
        )
        for number in numbers:
            frame[number].gather_every(10).sort().hist(bin_count=10)
        with tempfile.TemporaryDirectory() as scratch:
            if kind == "csv":
                frame.drop("bad").write_parquet(Path(scratch) / "snapshot.parquet", compression_level=3)
            frame.filter(~pl.col("bad")).drop("bad").write_parquet(Path(scratch) / "good.parquet", compression_level=1)
            frame.filter("bad").write_parquet(Path(scratch) / "bad.parquet")
        return int(frame["bad"].sum())

    return run


def understudy_cells(folder: Path, kind: str) -> Callable[[], int]:
    """Check cells in slices, and uniqueness, as the stage does; nothing else."""
    import pandera.polars as pa
    import polars as pl

    from understudy.contract.declaration.spec import ModelSpec
    from understudy.stages.check.checked_window import SLICE_ROWS
    from understudy.stages.check.columns import CellChecks
    from understudy.stages.read.read_source import read_file

    pa.DataFrameSchema({"x": pa.Column(None)})
    declared = ModelSpec.model_validate(spec())

    def run() -> int:
        path = folder / f"data.{kind}"
        read = None if kind == "parquet" else read_file(path, path.name, declared.data, folder).lazy()
        rows = pl.scan_parquet(path) if read is None else read
        cells = CellChecks(declared.checks.columns, frozenset(), rows.collect_schema())
        for first_row in range(0, rows.select(pl.len()).collect().item(), SLICE_ROWS):
            part = rows.slice(first_row, SLICE_ROWS).collect()
            cells.add(part, part, first_row)
        values = rows.select("id").collect()["id"]
        copies = (~values.is_first_distinct()).arg_true()
        cells.note("id", "unique", copies.cast(pl.UInt32), values.gather(copies))
        return cells.bad_rows().height

    return run


def understudy(folder: Path, kind: str) -> Callable[[], int]:
    """Run the stages as a container does: reading (CSV only), checking, profiling, writing good and bad rows."""
    from datetime import datetime, timezone

    import pandera.polars as pa
    import polars as pl  # noqa: F401 - imported before the clock starts, like everybody's libraries

    from understudy.contract.declaration.spec import ModelSpec
    from understudy.contract.stage import StageRequest
    from understudy.stages import StageContext, data_check, snapshot

    pa.DataFrameSchema({"x": pa.Column(None)})
    declared = ModelSpec.model_validate(spec()).model_dump(mode="json")
    request = StageRequest(
        stage="x", model="m", run="r", as_of=datetime(2027, 1, 1, tzinfo=timezone.utc), spec=declared
    )

    def run() -> int:
        inputs = {"data.parquet": folder / "data.parquet"}
        with tempfile.TemporaryDirectory() as scratch:
            if kind == "csv":
                read = snapshot.run(StageContext(request, {"source-0.csv": folder / "data.csv"}, Path(scratch)))
                inputs = {"data.parquet": read.outputs["data"].rename(Path(scratch) / "snapshot.parquet")}
            return int(data_check.run(StageContext(request, inputs, Path(scratch))).report.bad_rows)  # type: ignore[union-attr]

    return run


def pandera_polars(folder: Path, kind: str) -> Callable[[], int]:
    import pandera.polars as pa
    import polars as pl

    schema = _pandera(pa)

    def run() -> int:
        frame = (
            pl.read_parquet(folder / "data.parquet")
            if kind == "parquet"
            else pl.read_csv(folder / "data.csv", try_parse_dates=True)
        )
        return _failures(pa, schema, frame)

    return run


def pandera_pandas(folder: Path, kind: str) -> Callable[[], int]:
    import pandas as pd
    import pandera.pandas as pa

    schema = _pandera(pa)

    def run() -> int:
        frame = (
            pd.read_parquet(folder / "data.parquet")
            if kind == "parquet"
            else pd.read_csv(folder / "data.csv", parse_dates=["at"])
        )
        return _failures(pa, schema, frame)

    return run


def _pandera(pa: object) -> object:
    checks, column, frame = pa.Check, pa.Column, pa.DataFrameSchema  # type: ignore[attr-defined]
    columns = {"id": column(None, unique=True)} | {
        f"n{i}": column(None, checks.in_range(LOW, HIGH)) for i in range(NUMBERS)
    }
    return frame(columns | {f"c{i}": column(None, checks.isin(LEVELS)) for i in range(CATEGORIES)})


def _failures(pa: object, schema: object, frame: object) -> int:
    try:
        schema.validate(frame, lazy=True)  # type: ignore[attr-defined]
    except pa.errors.SchemaErrors as failed:  # type: ignore[attr-defined]
        return len(failed.failure_cases)
    return 0


def duckdb_sql(folder: Path, kind: str) -> Callable[[], int]:
    duckdb = importlib.import_module("duckdb")  # not among our requirements, so unknown to mypy

    asked = [f"count(*) FILTER (n{i} IS NULL OR n{i} NOT BETWEEN {LOW} AND {HIGH})" for i in range(NUMBERS)]
    asked += [f"count(*) FILTER (c{i} NOT IN ('v0', 'v1', 'v2', 'v3'))" for i in range(CATEGORIES)]
    asked += ["count(*) - count(DISTINCT id)"]

    def run() -> int:
        return int(duckdb.sql(f"SELECT {' + '.join(asked)} FROM '{folder / f'data.{kind}'}'").fetchall()[0][0])

    return run


def evidently_tests(folder: Path, kind: str) -> Callable[[], int]:
    import pandas as pd

    evidently, metrics = importlib.import_module("evidently"), importlib.import_module("evidently.metrics")
    eq = importlib.import_module("evidently.tests").eq

    def run() -> int:
        frame = pd.read_parquet(folder / "data.parquet") if kind == "parquet" else pd.read_csv(folder / "data.csv")
        asked = [
            metrics.InRangeValueCount(column=f"n{i}", left=LOW, right=HIGH, tests=[eq(len(frame))])
            for i in range(NUMBERS)
        ]
        asked += [metrics.MissingValueCount(column=f"n{i}", tests=[eq(0)]) for i in range(NUMBERS)]
        asked += [metrics.OutListValueCount(column=f"c{i}", values=LEVELS, tests=[eq(0)]) for i in range(CATEGORIES)]
        answers = evidently.Report(asked).run(frame, None).dict()["metrics"]
        counts = [answer["value"]["count"] for answer in answers]
        return int(sum(len(frame) - count for count in counts[:NUMBERS]) + sum(counts[NUMBERS:]))

    return run


WAYS: dict[str, tuple[Callable[[Path, str], Callable[[], int]], str | None]] = {
    "polars, cells": (plain_polars, None),
    "understudy, cells": (understudy_cells, None),
    "pandera-polars, cells": (pandera_polars, None),
    "pandera-pandas, cells": (pandera_pandas, None),
    "duckdb, cells": (duckdb_sql, "duckdb"),
    "evidently, cells": (evidently_tests, "evidently"),
    "polars, whole stage": (plain_polars_all, None),
    "understudy, whole stage": (understudy, None),
}
LIMITS = ("polars, cells", "polars, whole stage")


def measure(way: str, kind: str, folder: Path) -> dict[str, float]:
    """Run one way in this process."""
    run = WAYS[way][0](folder, kind)
    held = _resident_mb()
    cpu, wall = time.process_time(), time.perf_counter()
    found = run()
    facts = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "found": float(found)}
    return facts | {
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
        - held
    }


def _resident_mb() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--one", nargs=3, metavar=("WAY", "KIND", "FOLDER"), help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one[0], asked.one[1], Path(asked.one[2]))))
        return
    plugins = str(Path(__file__).resolve().parents[1] / "plugins")
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), asked.rows)
        print(f"{asked.rows:,} rows × 20 columns, 0.5 % of the rows bad\n")
        print(f"{'':26} {'file':8} {'CPU s':>7} {'wall s':>7} {'peak MB':>8} {'× limit (CPU)':>14} {'bad found':>10}")
        ours: dict[str, float] = {}
        for kind in ("parquet", "csv"):
            limit = 0.0
            for way, (_, needs) in WAYS.items():  # each limit stands before what is held against it
                if needs and importlib.util.find_spec(needs) is None:
                    print(f"{way:26} {kind:8} not installed, left out")
                    continue
                done = subprocess.run(
                    [sys.executable, __file__, "--one", way, kind, name],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join([plugins, os.environ.get("PYTHONPATH", "")])},
                )
                facts = json.loads(done.stdout.splitlines()[-1])
                limit = facts["cpu"] if way in LIMITS else limit
                if way.startswith("understudy"):
                    ours[f"{way}, {kind}"] = facts["cpu"] / limit
                print(
                    f"{way:26} {kind:8} {facts['cpu']:7.2f} {facts['wall']:7.2f} {facts['peak']:8.0f} "
                    f"{facts['cpu'] / limit:14.1f} "
                    f"{facts['found']:10,.0f}"
                )
    print()
    for what, times in ours.items():
        print(
            f"{'met   ' if times <= GOAL else 'missed'} {what}: {times:.2f} × the limit, at most {GOAL:g} × is the goal"
        )
    print(
        "\nThe limit is plain polars: one streaming query for the cells, all in memory for the whole stage. That also "
        "profiles, hashes rows to find duplicates "
        "and contradicting labels, and writes the good and the bad rows; for CSV it also proves the "
        "encoding and writes the snapshot."
    )


if __name__ == "__main__":
    main()
