"""Decimal columns of databases and Parquet files as numbers that estimators read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


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
