"""Read the log while it is written and compacted: each row once, from its segment or from Parquet."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from understudy.contract.errors import UnderstudyError
from understudy.gateway.log.frame import FEATURE, Requests, typed
from understudy.gateway.log.line import Lines
from understudy.gateway.log.manifest import CompactedFile, manifests_in
from understudy.gateway.log.segment import opened_at, segments_in

if TYPE_CHECKING:
    import polars as pl

TRIES = 20
EARLIEST = datetime(2000, 1, 1, tzinfo=timezone.utc)
LATEST = datetime.max.replace(tzinfo=timezone.utc)
Choose = Callable[["pl.LazyFrame"], "pl.LazyFrame"]
KEYS = ("request_id", "client_id", "row", "at", "role")


class LogInMotion(UnderstudyError):
    """Files came and went faster than they could be read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"The prediction log in {folder} changed {TRIES} times while it was read. Try again.")


class Accounts(NamedTuple):
    """Count what a log does not hold."""

    lost: int = 0
    """Rows that were never written, as the log itself says."""
    damaged: int = 0
    """Lines that cannot be read."""


class Log(NamedTuple):
    """Hold what was read."""

    rows: "pl.DataFrame"
    accounts: Accounts


def read(
    folder: Path, since: datetime | None = None, until: datetime | None = None, *, features: bool = True
) -> "pl.DataFrame":
    """Read a model's predictions from ``since`` to before ``until``, with the latest label of each row.

    One row for each row that was scored; a request without an answer has one whose ``row`` is null.
    """
    return read_log(folder, since, until, features=features).rows


def read_log(
    folder: Path, since: datetime | None = None, until: datetime | None = None, *, features: bool = True
) -> Log:
    """Read as :func:`read` does, and count what is missing."""
    start, end = since or EARLIEST, until or LATEST
    for _ in range(TRIES):
        try:
            rows, accounts = _rows(folder, start, end, features=features)
            return Log(_labelled(rows, folder, start), accounts)
        except FileNotFoundError:  # compacted or deleted in between; the next look sees where it went
            continue
    raise LogInMotion(folder)


def read_keys(folder: Path, wanted: "pl.Expr") -> "pl.DataFrame":
    """Read the names of those rows that a condition chooses, however often they were answered."""
    import polars as pl

    def names_of(rows: "pl.LazyFrame") -> "pl.LazyFrame":
        return rows.filter(pl.col("row").is_not_null() & wanted).select(KEYS)

    for _ in range(TRIES):
        try:
            rows, _ = _rows(folder, EARLIEST, LATEST, features=False, choose=names_of)
        except FileNotFoundError:  # compacted or deleted in between
            continue
        return rows.unique(["request_id", "row"])
    raise LogInMotion(folder)


def oldest_in(folder: Path) -> datetime | None:
    """Tell since when at least predictions are kept; None where there are none."""
    opened = [at for path in segments_in(folder / "segments")[:1] if (at := opened_at(path))]
    kept = [
        file.since
        for manifest in manifests_in(folder).values()
        for file in manifest.files
        if (folder / file.path).exists()
    ]
    return min([*opened, *kept], default=None)


def label_facts(folder: Path, since: datetime) -> list[dict[str, Any]]:
    """Read the labels that may have come since a moment, in their order."""
    return [
        facts
        for path in segments_in(folder / "labels")
        if path.stat().st_mtime >= since.timestamp()
        for facts in Lines(path)
    ]


def _rows(
    folder: Path, since: datetime, until: datetime, *, features: bool, choose: Choose | None = None
) -> "tuple[pl.DataFrame, Accounts]":
    import polars as pl

    # Segments first: one that is compacted after this line is either still there or in the manifests read next.
    segments = segments_in(folder / "segments")
    manifests = list(manifests_in(folder).values())
    compacted = {name for manifest in manifests for name in manifest.segments}
    fresh = [path for path in segments if str(path.relative_to(folder)) not in compacted]
    requests, accounts = _from_segments(fresh, since, until, features=features)
    fresh_rows = requests.frame()
    frames = [fresh_rows if choose is None else choose(fresh_rows.lazy()).collect()]
    for file in (file for manifest in manifests for file in manifest.files):
        frame = _from_parquet(folder, file, since, until, features=features, choose=choose)
        if frame is not None:
            frames.append(frame)
    accounts = Accounts(
        accounts.lost + sum(manifest.lost for manifest in manifests),
        accounts.damaged + sum(manifest.damaged for manifest in manifests),
    )
    filled = [frame for frame in frames if frame.height] or frames[:1]
    return pl.concat(filled, how="diagonal_relaxed").sort("at", "request_id", "role", "row"), accounts


def _from_segments(paths: list[Path], since: datetime, until: datetime, *, features: bool) -> tuple[Requests, Accounts]:
    requests, lost, damaged = Requests(features=features), 0, 0
    first, last = nanoseconds(since), nanoseconds(until)
    for path in paths:
        if path.stat().st_mtime < since.timestamp():
            continue  # its last line was written before
        lines = Lines(path)
        for facts in lines:
            if facts["kind"] == "lost":
                lost += facts["count"]
            elif first <= facts["ts_ns"] < last:
                requests.add(facts)
        damaged += lines.damaged
    return requests, Accounts(lost, damaged)


def _from_parquet(
    folder: Path, file: CompactedFile, since: datetime, until: datetime, *, features: bool, choose: Choose | None
) -> "pl.DataFrame | None":
    import polars as pl

    path = folder / file.path
    if file.until < since or file.since >= until or not path.exists():  # retention deletes files, not manifests
        return None
    scanned = pl.scan_parquet(path, hive_partitioning=False)
    dated = scanned.filter((pl.col("at") >= since) & (pl.col("at") < until))
    if choose is not None:
        return choose(dated).collect()
    wanted = [
        name for name in scanned.collect_schema() if features or not (name.startswith(FEATURE) or name == "input")
    ]
    return dated.select(wanted).collect()


def _labelled(rows: "pl.DataFrame", folder: Path, since: datetime) -> "pl.DataFrame":
    import polars as pl

    labels = _labels(folder, since)
    ours = labels.filter(pl.col("request_id").is_not_null()).drop("client_id")
    callers = labels.filter(pl.col("client_id").is_not_null()).drop("request_id")
    joined = rows.join(_latest(ours, "request_id"), on=["request_id", "row"], how="left").join(
        _latest(callers, "client_id"), on=["client_id", "row"], how="left", suffix="_of_caller"
    )
    is_later = pl.col("label_at_of_caller") > pl.col("label_at")
    takes_callers = pl.col("label_at").is_null() | is_later.fill_null(value=False)
    return joined.with_columns(
        pl.when(takes_callers).then(f"{name}_of_caller").otherwise(name).alias(name) for name in ("label", "label_at")
    ).drop("label_of_caller", "label_at_of_caller")


def _labels(folder: Path, since: datetime) -> "pl.DataFrame":
    import polars as pl

    found = label_facts(folder, since)
    return pl.DataFrame(
        [
            pl.Series("request_id", [facts["request_id"] for facts in found], dtype=pl.String),
            pl.Series("client_id", [facts["client_id"] for facts in found], dtype=pl.String),
            pl.Series("row", [facts["row"] for facts in found], dtype=pl.Int64),
            typed("label", [facts["value"] for facts in found])[0],
            pl.Series("label_at", [facts["ts_ns"] for facts in found], dtype=pl.Int64)
            .cast(pl.Datetime("ns"))
            .dt.replace_time_zone("UTC"),
        ]
    )


def _latest(labels: "pl.DataFrame", key: str) -> "pl.DataFrame":
    return labels.sort("label_at", maintain_order=True).unique([key, "row"], keep="last", maintain_order=True)


def nanoseconds(moment: datetime) -> int:
    """Give a moment as whole nanoseconds since 1970."""
    delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000
