"""What became of the labels that a log keeps: each was used, or says why it was not."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.contract.declared import Fact
from understudy.contract.serving import LabelAccounts
from understudy.gateway.log.apart import run_apart
from understudy.gateway.log.frame import class_text
from understudy.gateway.log.read import EARLIEST, label_facts, nanoseconds, oldest_in, read_keys
from understudy.gateway.log.segment import segments_in

if TYPE_CHECKING:
    import polars as pl

TIME_DIGITS = 16
"""Of a request's identifier, in hexadecimal: nanoseconds since 1970."""


class Counted(Fact):
    """Hold the accounts of a model's labels with what they were counted from."""

    accounts: LabelAccounts
    bytes_read: int
    """The size of the labels and predictions then: what has not grown or shrunk need not be counted again."""


def size_of(folder: Path) -> int:
    """Measure what a log's labels are counted from, in bytes; 0 without any label."""
    labels = sum(path.stat().st_size for path in segments_in(folder / "labels"))
    others = [*segments_in(folder / "segments"), *(folder / "parquet").glob("*/version-*/*.parquet")]
    return labels and labels + sum(path.stat().st_size for path in others)


async def count_apart(folder: Path) -> Counted:
    """Count in a process of its own, so that answers do not wait; see :func:`run_apart` for what it raises."""
    return await run_apart(count_labels, folder)


def count_labels(folder: Path) -> Counted:
    """Count the labels in a model's log by what became of them."""
    import polars as pl

    size = size_of(folder)
    if not size:
        return Counted(accounts=LabelAccounts(), bytes_read=0)
    labels = _frame(label_facts(folder, EARLIEST))
    named = pl.col("request_id").is_in(_names(labels, "request_id")) | pl.col("client_id").is_in(
        _names(labels, "client_id")
    )
    rows = read_keys(folder, named.fill_null(value=False))
    return Counted(accounts=_accounts(labels, rows, oldest_in(folder)), bytes_read=size)


def _frame(given: list[dict[str, Any]]) -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(
        {
            "request_id": pl.Series([label["request_id"] for label in given], dtype=pl.String),
            "client_id": pl.Series([label["client_id"] for label in given], dtype=pl.String),
            "row": pl.Series([label["row"] for label in given], dtype=pl.Int64),
            "said": pl.Series([class_text(label["value"]) for label in given], dtype=pl.String),
        }
    )


def _names(labels: "pl.DataFrame", column: str) -> list[str]:
    return labels[column].drop_nulls().unique().to_list()


def _accounts(labels: "pl.DataFrame", rows: "pl.DataFrame", oldest: datetime | None) -> LabelAccounts:
    import polars as pl

    callers = (
        rows.filter(pl.col("client_id").is_not_null())
        .sort("at")
        .unique(["client_id", "row"], keep="last", maintain_order=True)
        .select("client_id", "row", pl.col("request_id").alias("asked"))
    )
    ours = rows.select("request_id", "row").with_columns(is_known=pl.lit(value=True))
    found = (
        labels.join(callers, on=["client_id", "row"], how="left", maintain_order="left")
        .with_columns(pl.coalesce("request_id", "asked").alias("request_id"))
        .join(ours, on=["request_id", "row"], how="left", maintain_order="left")
    )
    used = found.filter(pl.col("is_known")).with_columns(before=pl.col("said").shift(1).over(["request_id", "row"]))
    other = found.filter(pl.col("is_known").is_null())
    asked_ns = pl.col("request_id").str.head(TIME_DIGITS).str.to_integer(base=16, strict=False)
    late = 0 if oldest is None else other.filter((asked_ns > 0) & (asked_ns < nanoseconds(oldest))).height
    return LabelAccounts(
        given=labels.height,
        matched=used["before"].null_count(),
        duplicate=used.filter(pl.col("before") == pl.col("said")).height,
        contradictory=used.filter(pl.col("before") != pl.col("said")).height,
        late=late,
        unmatched=other.height - late,
    )
