"""Decimal columns of databases and Parquet files as numbers that estimators read."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def finite_decimals(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Give rows without decimals that are NaN or infinite, at which Polars panics: their columns hold floats then."""
    plain = [tuple(row) for row in rows]
    odd = {at for row in plain for at, value in enumerate(row) if isinstance(value, Decimal) and not value.is_finite()}
    if not odd:
        return plain
    return [
        tuple(float(value) if at in odd and isinstance(value, Decimal) else value for at, value in enumerate(row))
        for row in plain
    ]


def without_decimals(table: "pl.DataFrame") -> "pl.DataFrame":
    """Turn decimals into whole numbers where they have no decimals, else into floats.

    A whole number that no column of numbers can hold is a code, and becomes the text that it is.
    """
    import polars as pl

    return table.with_columns(_plain(table[column]) for column in table.columns if table.schema[column] == pl.Decimal)


def _plain(values: "pl.Series") -> "pl.Series":
    import polars as pl

    scale: int = values.dtype.scale  # type: ignore[attr-defined]
    whole = values.cast(pl.Float64 if scale else pl.Int64, strict=False)
    plain: pl.Series = whole if whole.null_count() == values.null_count() else values.cast(pl.String)
    return plain
