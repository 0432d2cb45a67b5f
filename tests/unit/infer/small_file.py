"""A small file, and what is inferred from it."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.load import parse_spec
from understudy.infer import Inference, infer_spec

ROWS = 600


def frame(**columns: object) -> pl.DataFrame:
    row = pl.int_range(ROWS, eager=True)
    return pl.DataFrame(
        {
            "at": [datetime(2026, 1, 1) + timedelta(hours=hour) for hour in range(ROWS)],  # noqa: DTZ001 - files hold naive times
            "x": (row * 7919 % 997) / 10,
            "z": (row * 104729 % 499),
            "y": (row * 7919 % 997 + row * 31 % 300 > 600).cast(pl.Int8),
            **columns,
        }
    )


def infer(
    folder: Path, table: pl.DataFrame, target: str = "y", time: str | None = "at", name: str | None = None
) -> tuple[Inference, ModelSpec]:
    table.write_csv(folder / "some-data.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    inference = infer_spec(folder / "some-data.csv", target, time, name)
    return inference, parse_spec(inference.yaml, Path("model.yaml"))
