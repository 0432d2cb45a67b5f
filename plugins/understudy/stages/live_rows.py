"""The rows that a champion was asked, wherever they come from, in one form."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import polars as pl

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import Finding
from understudy.contract.words import LiveColumn, Watched
from understudy.stages.context import Refused

UTC_TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class LiveRows:
    """Hold rows as a lazy table: the source's columns and those of :class:`LiveColumn`, times in UTC."""

    table: pl.LazyFrame
    time: str | None
    """The column that dates rows; None where there is none."""
    findings: tuple[Finding, ...] = field(default=())
    """What is wrong with the rows' own dates."""

    @property
    def columns(self) -> list[str]:
        """Name the columns of the table, in order."""
        return self.table.collect_schema().names()

    def has(self, column: LiveColumn) -> bool:
        """Tell whether a column is there."""
        return column.value in self.columns

    def between(self, start: datetime | None, end: datetime | None) -> LiveRows:
        """Keep the rows from ``start`` on and before ``end``; all where they have no dates."""
        if self.time is None:
            return self
        table = self.table
        for bound, is_inside in ((start, pl.Expr.ge), (end, pl.Expr.lt)):
            if bound is not None:
                moment = pl.lit(bound.astimezone(timezone.utc)).cast(UTC_TIME)
                table = table.filter(is_inside(pl.col(self.time), moment))
        return replace(self, table=table)


def live_rows(path: Path, spec: ModelSpec, watched: Watched, champion_version: int | None, as_of: datetime) -> LiveRows:
    """Read live rows that the champion answered.

    Rows of other versions are left out. Rows from the future are left out too, and are a finding: a clock is wrong.

    :param as_of: the moment of the look.

    :raises Refused: where the rows have times that are none.
    """
    table = pl.scan_parquet(path)
    if watched is Watched.SCORED:
        table = _renamed(table, spec)
    columns = table.collect_schema().names()
    if champion_version is not None and LiveColumn.VERSION.value in columns:
        told = pl.col(LiveColumn.VERSION.value).cast(pl.String).str.extract(r"(\d+)(?:\.0)?$")
        table = table.filter(told.cast(pl.Int64, strict=False) == champion_version)
    time = next((name for name in (LiveColumn.AT.value, spec.data.time) if name and name in columns), None)
    if time is None:
        return LiveRows(table, None)
    table = in_utc(table, time)
    future = pl.col(time) > pl.lit(as_of.astimezone(timezone.utc)).cast(UTC_TIME)
    found = table.select(pl.len(), future.sum().alias("future"), pl.col(time).null_count().alias("undated"))
    rows, late, undated = found.collect(engine="streaming").row(0)
    findings = [
        *_wrong_dates("clock", rows, late, "are dated in the future; a clock or a time zone is wrong", spec),
        *_wrong_dates("undated", rows, undated, f"have no {time!r}", spec),
    ]
    return LiveRows(table.filter(~future.fill_null(value=False)) if late else table, time, tuple(findings))


def in_utc(table: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Read a column as moments in UTC: without a zone they are taken for UTC, texts may each have their own.

    :raises Refused: where the values are no times.
    """
    kind = table.collect_schema()[column]
    value = pl.col(column)
    if kind == pl.String:
        read = pl.coalesce(
            value.str.to_datetime("%+", time_zone="UTC", time_unit="us", strict=False),
            value.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_zone="UTC", time_unit="us", strict=False),
            value.str.to_datetime(time_unit="us", strict=False, format="%Y-%m-%d %H:%M:%S%.f").dt.replace_time_zone(
                "UTC"
            ),
            value.str.to_datetime(time_unit="us", strict=False, format="%Y-%m-%dT%H:%M:%S%.f").dt.replace_time_zone(
                "UTC"
            ),
        )
    elif isinstance(kind, pl.Datetime):
        read = (value.dt.convert_time_zone("UTC") if kind.time_zone else value.dt.replace_time_zone("UTC")).cast(
            UTC_TIME
        )
    elif kind == pl.Date:
        read = value.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    else:
        raise Refused(f"The live rows' {column!r} holds {kind} values, which are not times", "data.time")
    return table.with_columns(read.alias(column))


def _renamed(table: pl.LazyFrame, spec: ModelSpec) -> pl.LazyFrame:
    scored = spec.monitor.scored if spec.monitor else None
    if scored is None:
        raise Refused("The model watches scored rows and monitor.scored does not say where they lie", "monitor.scored")
    columns = table.collect_schema().names()
    named = {
        LiveColumn.AT: scored.time,
        LiveColumn.PREDICTION: scored.prediction,
        LiveColumn.PROBABILITY: scored.probability,
        LiveColumn.VERSION: scored.version,
    }
    wanted = {word.value: column for word, column in named.items() if column is not None}
    absent = [column for column in wanted.values() if column not in columns]
    if absent:
        raise Refused(f"The scored rows have no column {absent[0]!r}, which monitor.scored names", "monitor.scored")
    return table.with_columns(pl.col(column).alias(name) for name, column in wanted.items())


def _wrong_dates(check: str, rows: int, wrong: int, what: str, spec: ModelSpec) -> list[Finding]:
    if not wrong:
        return []
    bound = spec.checks.max_bad_share
    return [
        Finding(
            check=check,
            measured=wrong / rows,
            bound=f"at most {bound:.2%} of the rows",
            failed=wrong / rows > bound,
            batch_level=True,
            failing_rows=wrong,
            sentence=f"{wrong:,} of {rows:,} live rows {what}; {bound:.2%} of them may",
        )
    ]
