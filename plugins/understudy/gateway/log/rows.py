"""What a version was asked and answered in a span of time, as one Parquet file."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.serving import LoggedRows, RowsQuery
from understudy.contract.words import Role
from understudy.gateway.log.apart import run_apart
from understudy.gateway.log.frame import FEATURE
from understudy.gateway.log.read import read

if TYPE_CHECKING:
    import polars as pl

KEPT = (
    "at", "request_id", "client_id", "row", "version", "prediction", "probabilities", "classes", "label", "label_at",
)  # fmt: skip
SEED = 0


async def write_rows(folder: Path, gateway: str, query: RowsQuery, target: Path) -> LoggedRows:
    """Write the rows in a process of their own, so that answers do not wait; count them all, whatever is sampled.

    :raises ReadingFailed: where the log cannot be read.
    :raises ReaderDied: where that process was killed twice.
    """
    return await run_apart(written, folder, gateway, query, target)


def written(folder: Path, gateway: str, query: RowsQuery, target: Path) -> LoggedRows:
    """Write what the log holds now; beyond the limit a sample that is the same each time."""
    import polars as pl

    rows = read(folder, query.since, query.until)
    answered = rows.filter(
        (pl.col("version") == query.version)
        & pl.col("role").is_in([Role.CHAMPION.value, Role.STANDBY.value])
        & pl.col("row").is_not_null()
    )
    labelled = answered.filter(pl.col("label").is_not_null())
    new = labelled if query.labelled_since is None else labelled.filter(pl.col("at") > query.labelled_since)
    kept = answered.select(*KEPT, pl.col(f"^{FEATURE}.*$")).sort("at", "request_id", "row")
    _sampled(kept, query.limit).write_parquet(target, compression="zstd", compression_level=3)
    return LoggedRows(
        gateway=gateway, rows=answered.height, labelled_rows=labelled.height, new_labels=new.height,
        written_rows=min(answered.height, query.limit),
    )  # fmt: skip


def _sampled(rows: "pl.DataFrame", limit: int) -> "pl.DataFrame":
    if rows.height <= limit:
        return rows
    return rows.sample(limit, seed=SEED).sort("at", "request_id", "row")
