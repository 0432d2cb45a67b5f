"""What all gateways were asked, as one table whose columns are called as in training."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.words import LiveColumn

if TYPE_CHECKING:
    import polars as pl

FEATURE = "x_"
"""What a feature's name begins with in the prediction log."""
ORDER = ("at", "request_id", "row")
NAMES = {
    "at": LiveColumn.AT.value,
    "prediction": LiveColumn.PREDICTION.value,
    "version": LiveColumn.VERSION.value,
    "label_at": LiveColumn.LABEL_AT.value,
}
IDS = ("request_id", "client_id", "row")


def join_parts(parts: Sequence[Path], destination: Path, target: str) -> int:
    """Join the replicas' rows, oldest first, as :class:`LiveColumn` names them; return how many rows there are.

    Features get their own names, the label that of the target. Replicas may have read different columns and types;
    what does not fit becomes text.
    """
    import polars as pl

    frames = [pl.read_parquet(part) for part in parts]
    filled = [frame for frame in frames if frame.height] or frames[:1]
    table = pl.concat([_alike(frame, filled) for frame in filled], how="diagonal_relaxed")
    table = table.sort(ORDER, maintain_order=True)
    features = [name for name in table.columns if name.startswith(FEATURE) and name != FEATURE + target]
    named = table.select(
        *(pl.col(name).alias(name.removeprefix(FEATURE)) for name in features),
        *(pl.col(name).alias(told) for name, told in NAMES.items()),
        *(pl.col(name).alias(f"__{name}") for name in IDS),
        _second_class().alias(LiveColumn.PROBABILITY.value),
        pl.col("label").alias(target),
    )
    destination.parent.mkdir(parents=True, exist_ok=True)
    named.write_parquet(destination, compression="zstd", compression_level=3)
    return table.height


def _second_class() -> "pl.Expr":
    """Give the probability of the second of two classes."""
    import polars as pl

    both = pl.col("probabilities")
    return pl.when(both.list.len() == 2).then(both.list.last())


def _alike(frame: "pl.DataFrame", others: "Sequence[pl.DataFrame]") -> "pl.DataFrame":
    """Turn columns into text that others have as text: one replica has seen a word where the rest saw numbers."""
    import polars as pl

    texts = [name for name, kind in frame.schema.items() if kind != pl.String and _is_text_elsewhere(name, others)]
    return frame.with_columns(pl.col(column).cast(pl.String) for column in texts)


def _is_text_elsewhere(column: str, others: "Sequence[pl.DataFrame]") -> bool:
    import polars as pl

    return any(other.schema.get(column) == pl.String for other in others)
