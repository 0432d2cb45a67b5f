"""A place for every undated row that depends on nothing but its content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.declaration.data import DataSpec
from understudy.stages.window import Array

SALT = "understudy/row/1"  # exactly the 16 bytes that pandas asks for; another salt would move rows across the border


def row_places(frame: pd.DataFrame, data: DataSpec) -> Array:
    """Place each row in [0, 1) by its key, or by its whole content without one.

    The place stays the same in every window, whatever else that window holds, so a row that one retraining kept for
    its holdout is never trained on by the next. Personal columns that are no key are left out: no stage after the data
    check has them.
    """
    return places_of((frame[column] for column in placing_columns(list(frame.columns), data)), len(frame))


def placing_columns(columns: Sequence[str], data: DataSpec) -> list[str]:
    """Name the columns that place a row, in the order in which :func:`places_of` takes them."""
    return list(data.key) or sorted(str(c) for c in columns if c not in data.classes.pii)


def places_of(columns: Iterable[pd.Series[Any]], rows: int) -> Array:
    """Place so many rows by their columns, one after the other, so that a caller need not hold them all at once."""
    mixed = np.zeros(rows, dtype=np.uint64)
    for column in columns:
        values = pd.util.hash_pandas_object(_canonical(column), index=False, hash_key=SALT, categorize=True)
        mixed = (mixed * np.uint64(0x9E3779B97F4A7C15)) ^ _stir(values.to_numpy(dtype=np.uint64))
    places: Array = (_stir(mixed) >> np.uint64(11)) / float(1 << 53)
    return places


def _canonical(column: pd.Series[Any]) -> pd.Series[Any]:
    """Give equal values one type: a whole-number column becomes real as soon as one window has a gap in it."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("float64")
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.astype("int64")
    return column.astype("object").where(column.notna(), "\x00missing").map(str)


def _stir(values: Array) -> Array:
    """Spread every bit over all others (the finaliser of SplitMix64, Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    stirred: Array = values ^ (values >> np.uint64(31))
    return stirred
