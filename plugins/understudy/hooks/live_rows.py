"""What all gateways were asked, as one table whose columns are called as in training."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.live_rows import FEATURE, OWN, own_name

if TYPE_CHECKING:
    import polars as pl


def join_parts(parts: Sequence[Path], destination: Path) -> int:
    """Join the replicas' rows, oldest first, and give features their own names; return how many rows there are.

    What a feature is not is called with two underscores, so that no column of a model can be mistaken for it.
    Replicas may have read different columns and types; what does not fit becomes text.
    """
    import polars as pl

    frames = [pl.read_parquet(part) for part in parts]
    filled = [frame for frame in frames if frame.height] or frames[:1]
    table = pl.concat([_alike(frame, filled) for frame in filled], how="diagonal_relaxed")
    table = table.sort("at", "request_id", "row", maintain_order=True)
    named = {column: own_name(column) for column in OWN if column in table.columns}
    named |= {column: column.removeprefix(FEATURE) for column in table.columns if column.startswith(FEATURE)}
    destination.parent.mkdir(parents=True, exist_ok=True)
    table.rename(named).write_parquet(destination, compression="zstd", compression_level=3)
    return table.height


def _alike(frame: "pl.DataFrame", others: "Sequence[pl.DataFrame]") -> "pl.DataFrame":
    """Turn columns into text that others have as text: one replica has seen a word where the rest saw numbers."""
    import polars as pl

    texts = [name for name, kind in frame.schema.items() if kind != pl.String and _is_text_elsewhere(name, others)]
    return frame.with_columns(pl.col(column).cast(pl.String) for column in texts)


def _is_text_elsewhere(column: str, others: "Sequence[pl.DataFrame]") -> bool:
    import polars as pl

    return any(other.schema.get(column) == pl.String for other in others)
