"""Whether the rows at hand can be divided as a run will divide them."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.context import Refused

if TYPE_CHECKING:
    import polars as pl


def about_division(table: "pl.DataFrame", spec: ModelSpec) -> list[str]:
    """Say in the words of the data check why it would refuse these rows; nothing where it would not."""
    from understudy.stages.split import split_file

    data = spec.data
    # Without a time, a row's place is made of all that it holds.
    needed = [data.target, data.time] if data.time else table.columns
    with TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.parquet"
        table.select(needed).drop_nulls(data.target).write_parquet(rows)
        try:
            split_file(rows, spec)
        except Refused as refused:
            return [f"A run would refuse these rows: {refused.message.rstrip('.')}."]
    return []
