"""What is counted over every row of a window, by streaming, whatever its length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from understudy.stages.drift.scale import Scale

MAX_KNOWN_LEVELS = 1_000  # beyond, a column is an id in disguise and "a new level" says nothing


@dataclass(frozen=True)
class Counted:
    """Hold exact counts."""

    rows: int
    null_shares: Mapping[str, float]
    """Empty where there are no rows."""
    levels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of the reference: every level of each column that has at most 1,000."""
    new_level_shares: Mapping[str, float] = field(default_factory=dict)
    """Of a current window: the share of rows with a level that the reference does not have."""


def count_reference(rows: pl.LazyFrame, scales: Sequence[Scale]) -> Counted:
    """Count a reference: rows, missing values, and which levels there are."""
    schema = rows.collect_schema()
    told = [scale for scale in scales if scale.levels]
    found = _streamed(
        rows,
        [_filled(scale, schema) for scale in scales],
        [scale.read(schema).approx_n_unique().alias(f"{_LEVELS}{scale.column}") for scale in told],
    )
    few = [scale for scale in told if found[f"{_LEVELS}{scale.column}"] <= MAX_KNOWN_LEVELS]
    levels = {}
    for scale in few:
        distinct = rows.select(scale.read(schema).unique()).collect(engine="streaming")[scale.column]
        levels[scale.column] = frozenset(distinct.drop_nulls())
    return Counted(found["rows"], _null_shares(found, scales), levels)


def count_rows(rows: pl.LazyFrame, scales: Sequence[Scale], reference: Counted) -> Counted:
    """Count a current window: rows, missing values, and rows with a level that the reference does not have."""
    schema = rows.collect_schema()
    known = [scale for scale in scales if scale.column in reference.levels]
    new = [
        (~scale.read(schema).is_in(sorted(reference.levels[scale.column]))).sum().alias(f"{_LEVELS}{scale.column}")
        for scale in known
    ]
    found = _streamed(rows, [_filled(scale, schema) for scale in scales], new)
    count = found["rows"]
    shares = {scale.column: found[f"{_LEVELS}{scale.column}"] / count for scale in known} if count else {}
    return Counted(count, _null_shares(found, scales), new_level_shares=shares)


_FILLED, _LEVELS = "filled:", "levels:"


def _filled(scale: Scale, schema: pl.Schema) -> pl.Expr:
    return scale.read(schema).count().alias(f"{_FILLED}{scale.column}")


def _streamed(rows: pl.LazyFrame, *wanted: list[pl.Expr]) -> dict[str, int]:
    asked = [pl.len().alias("rows"), *(expression for group in wanted for expression in group)]
    return rows.select(asked).collect(engine="streaming").row(0, named=True)


def _null_shares(found: Mapping[str, int], scales: Sequence[Scale]) -> dict[str, float]:
    count = found["rows"]
    return {scale.column: 1 - found[f"{_FILLED}{scale.column}"] / count for scale in scales} if count else {}
