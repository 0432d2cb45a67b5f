"""Columns as plain numbers, for quick measurements."""

from typing import TYPE_CHECKING

from understudy.stages.read.column_kind import NUMERIC, kind_of

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


def matrix(table: "pl.DataFrame", columns: list[str]) -> "np.ndarray":
    """Encode columns as floats: numbers as they are, other values by the rank of their level, missing ones as NaN."""
    import numpy as np

    if not columns:
        return np.empty((table.height, 0))
    return np.column_stack([_numbers(table[column]) for column in columns])


def _numbers(values: "pl.Series") -> "np.ndarray":
    import numpy as np
    import polars as pl

    if kind_of(values.dtype) not in NUMERIC:
        values = values.cast(pl.String).rank("dense")
    return np.asarray(values.cast(pl.Float64).fill_null(float("nan")))


def evenly(table: "pl.DataFrame", rows: int) -> "pl.DataFrame":
    """Take at most about ``rows`` rows, evenly, in order."""
    return table.gather_every(max(1, -(-table.height // rows)))
