"""What changed from one window of data to another."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.declared import Fact

if TYPE_CHECKING:
    import polars as pl


class ColumnDifference(Fact):
    """Put two versions of a column side by side; means are of numbers only."""

    type_before: str
    type_after: str
    null_share_before: float
    null_share_after: float
    mean_before: float | None = None
    mean_after: float | None = None


class DataDifference(Fact):
    """Put two windows side by side."""

    rows_before: int
    rows_after: int
    rows_added: int
    """Rows of the later window that the earlier one does not hold, by all columns that both have."""
    rows_removed: int
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns: dict[str, ColumnDifference]
    """The columns that both have and that differ in anything."""


def difference_of(before: Path, after: Path) -> DataDifference:
    """Compare two Parquet files."""
    import polars as pl

    old, new = pl.read_parquet(before), pl.read_parquet(after)
    shared = [column for column in old.columns if column in new.columns]
    columns = {column: _column(old[column], new[column]) for column in shared}
    old_rows, new_rows = _hashed(old, new, shared)
    return DataDifference(
        rows_before=old.height,
        rows_after=new.height,
        rows_added=new_rows.join(old_rows, on=["row", "copy"], how="anti").height,
        rows_removed=old_rows.join(new_rows, on=["row", "copy"], how="anti").height,
        columns_added=tuple(column for column in new.columns if column not in shared),
        columns_removed=tuple(column for column in old.columns if column not in shared),
        columns={
            name: c
            for name, c in columns.items()
            if (c.type_before, c.null_share_before, c.mean_before) != (c.type_after, c.null_share_after, c.mean_after)
        },
    )


def _hashed(old: "pl.DataFrame", new: "pl.DataFrame", shared: list[str]) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Hash rows and number equal ones, so that a repeated row counts as often as it occurs."""
    import polars as pl

    retyped = [column for column in shared if old.schema[column] != new.schema[column]]

    def rows(frame: "pl.DataFrame") -> "pl.DataFrame":
        same_types = frame.select(shared).with_columns(pl.col(retyped).cast(pl.String))
        hashed = same_types.hash_rows() if shared else pl.Series([0] * frame.height, dtype=pl.UInt64)
        return pl.DataFrame({"row": hashed}).with_columns(copy=pl.int_range(pl.len()).over("row"))

    return rows(old), rows(new)


def _column(old: "pl.Series", new: "pl.Series") -> ColumnDifference:
    return ColumnDifference(
        type_before=str(old.dtype),
        type_after=str(new.dtype),
        null_share_before=old.null_count() / max(len(old), 1),
        null_share_after=new.null_count() / max(len(new), 1),
        mean_before=_mean(old),
        mean_after=_mean(new),
    )


def _mean(values: "pl.Series") -> float | None:
    mean = values.mean() if values.dtype.is_numeric() else None
    return float(mean) if isinstance(mean, (int, float)) else None
