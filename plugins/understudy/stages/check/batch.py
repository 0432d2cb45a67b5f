"""Ask about a window as a whole: volume, freshness, missing values, duplicates."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

from understudy.contract.declaration.data import ChecksSpec, DataSpec
from understudy.contract.reports import NOTICED, ColumnProfile, Finding

if TYPE_CHECKING:
    import polars as pl


def check_volume(rows: int, history: Sequence[float], checks: ChecksSpec) -> Iterator[Finding]:
    """Compare the number of rows with the declared minimum and with the last accepted windows."""
    yield Finding(
        check="row_count",
        measured=rows,
        bound=f"at least {checks.min_rows:,}",
        failed=rows < checks.min_rows,
        batch_level=True,
        sentence=f"the window holds {rows:,} rows; {checks.min_rows:,} are needed to decide anything",
    )
    recent = [count for count in history if count > 0][-checks.history :]
    if recent:
        usual = median(recent)
        ratio = max(rows / usual, usual / rows) if rows else None
        yield Finding(
            check="rows_vs_history",
            measured=ratio,
            bound=f"at most {checks.max_rows_ratio:g} times more or less than usual",
            failed=ratio is None or ratio > checks.max_rows_ratio,
            batch_level=True,
            sentence=f"the window holds {rows:,} rows where the last {len(recent)} accepted ones held "
            f"{usual:,.0f} (median)",
        )


def check_freshness(newest: datetime | None, as_of: datetime, checks: ChecksSpec) -> Iterator[Finding]:
    """Ask how old the newest row was at the run's as-of time."""
    if checks.max_age is None:
        return
    limit = checks.max_age.total_seconds() / 3600
    age = (as_of - newest).total_seconds() / 3600 if newest is not None else None
    yield Finding(
        check="freshness",
        measured=age,
        bound=f"at most {limit:g} hours",
        failed=age is None or age > limit,
        batch_level=True,
        sentence="no row has a time, so its age is unknown"
        if age is None
        else f"the newest row is {age:,.1f} hours old at the as-of time; at most {limit:g} are allowed",
    )


def check_nulls(profile: dict[str, ColumnProfile], checks: ChecksSpec, ignored: frozenset[str]) -> Iterator[Finding]:
    """Bound the shares of missing values; a column without any value, or with one only, is noticed unasked."""
    for column, facts in profile.items():
        declared = checks.columns.get(column)
        bound = declared.max_null_share if declared else None
        if bound:
            failed = facts.null_share is None or facts.null_share > bound
            yield Finding(
                check="null_share",
                column=column,
                measured=facts.null_share,
                bound=f"at most {bound:.2%}",
                failed=failed,
                batch_level=True,
                sentence=f"{column}: {facts.null_share or 0:.2%} of the rows are empty; at most {bound:.2%} may be",
            )
        if column in ignored or (bound is not None and bound >= 1):
            continue
        if facts.null_share == 1:
            yield Finding(
                check="all_null",
                column=column,
                measured=1.0,
                bound="any value at all",
                failed=True,
                batch_level=True,
                sentence=f"{column}: every row is empty; repair the source, or put the column into data.drop",
            )
        elif facts.distinct == 1 and facts.null_share == 0:
            yield Finding(
                check="constant",
                column=column,
                measured=1.0,
                bound="more than one value",
                failed=False,
                batch_level=True,
                sentence=f"{column} has one value only, so no model can learn from it",
            )


def check_duplicates(rows_seen: "pl.DataFrame", data: DataSpec, checks: ChecksSpec) -> Iterator[Finding]:
    """Measure the share of rows that repeat an earlier one, by the key or whole, and of those that share a timestamp.

    Equal timestamps are only noticed: many sources write several rows a moment. To forbid them, name the time column in
    ``data.key`` or declare it unique.

    :param rows_seen: One hash per row in the columns ``row_hash`` and, for dated data, the times in ``time``.
    """
    rows = rows_seen.height
    if not rows:
        return
    repeated = (rows - rows_seen["row_hash"].n_unique()) / rows
    by = f"by {' + '.join(data.key)}" if data.key else "whole rows"
    yield Finding(
        check="duplicates",
        measured=repeated,
        bound=f"at most {checks.max_duplicate_share:.2%} ({by})",
        failed=repeated > checks.max_duplicate_share,
        batch_level=True,
        failing_rows=round(repeated * rows),
        sentence=f"{repeated:.2%} of the rows repeat an earlier one ({by}); at most "
        f"{checks.max_duplicate_share:.2%} may; repair the source, or raise checks.max_duplicate_share",
    )
    if "time" in rows_seen.columns:
        shared = (rows - rows_seen["time"].n_unique()) / rows
        yield Finding(
            check="duplicate_timestamps",
            column=data.time,
            measured=shared,
            bound=NOTICED,
            failed=False,
            batch_level=True,
            failing_rows=round(shared * rows),
            sentence=f"{shared:.2%} of the rows have the same time as an earlier one",
        )
