"""Summarise columns, so that a later window can be compared with this one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from understudy.contract.reports import ColumnProfile
from understudy.stages.read.column_kind import NUMERIC, kind_of

if TYPE_CHECKING:
    import polars as pl

BINS = 10
MAX_LEVELS = 50
SAMPLE_ROWS = 100_000


def profile(rows: "pl.LazyFrame", sample: "pl.DataFrame", columns: Iterable[str]) -> dict[str, ColumnProfile]:
    """Profile columns: counts and moments over all rows, histograms over the sample.

    :param sample: Rows taken evenly from ``rows``; at most about :data:`SAMPLE_ROWS`.
    """
    import polars as pl

    kinds = {column: kind_of(sample.schema[column]) for column in columns}
    if not kinds:
        return {}
    wanted = [pl.len().alias("rows")]
    for index, (column, kind) in enumerate(kinds.items()):
        values = pl.col(column)
        wanted.append(values.null_count().alias(f"{index}:nulls"))
        wanted.append(
            values.approx_n_unique().alias(f"{index}:distinct")
            if kind != "other"
            else pl.lit(0).alias(f"{index}:distinct")
        )
        if kind in NUMERIC:
            wanted += [
                getattr(values, moment)().cast(pl.Float64).alias(f"{index}:{moment}")
                for moment in ("mean", "std", "min", "max")
            ]
    found = rows.select(wanted).collect(engine="streaming").row(0, named=True)
    return {column: _column(sample[column], kind, index, found) for index, (column, kind) in enumerate(kinds.items())}


def _column(sample: "pl.Series", kind: str, index: int, found: dict[str, Any]) -> ColumnProfile:
    rows, nulls = found["rows"], found[f"{index}:nulls"]
    # Counting exactly takes as long as all other checks together; up to the sample's size it is free.
    distinct = (
        sample.n_unique() - (1 if sample.null_count() else 0) if rows <= len(sample) else found[f"{index}:distinct"]
    )
    facts: dict[str, Any] = {"type": kind, "null_share": nulls / rows if rows else None, "distinct": distinct}
    if kind in NUMERIC:
        facts |= {moment: found[f"{index}:{moment}"] for moment in ("mean", "std", "min", "max")}
        edges = quantile_edges(sample)
        facts |= {"edges": edges, "counts": shares_by_bin(sample, edges)}
    elif kind in ("text", "boolean"):
        levels = most_frequent(sample)
        facts |= {"levels": levels, "counts": shares_by_level(sample, levels)}
    return ColumnProfile.model_validate(facts)


def quantile_edges(values: "pl.Series") -> tuple[float, ...]:
    """Cut a number's range into at most ten bins of equal count; ties share an edge, so few values make few bins."""
    import polars as pl

    ordered = values.drop_nulls().cast(pl.Float64).sort()
    ordered = ordered.filter(ordered.is_finite())
    if ordered.is_empty():
        return ()
    return tuple(sorted({float(ordered[round(step / BINS * (len(ordered) - 1))]) for step in range(BINS + 1)}))


def shares_by_bin(values: "pl.Series", edges: tuple[float, ...]) -> tuple[float, ...]:
    """Give the share of values up to each edge and of those above the last one; nulls are left out."""
    import polars as pl

    filled = values.drop_nulls().cast(pl.Float64)
    if filled.is_empty() or not edges:
        return ()
    bins = pl.Series(edges).search_sorted(filled, side="left")
    counts = dict(bins.value_counts().iter_rows())
    return tuple(counts.get(bin_, 0) / len(filled) for bin_ in range(len(edges) + 1))


def most_frequent(values: "pl.Series") -> tuple[str, ...]:
    """Name the most frequent levels, the name deciding between equals."""
    import polars as pl

    counts = values.drop_nulls().cast(pl.String).alias("level").value_counts()
    return tuple(counts.sort(["count", "level"], descending=[True, False]).head(MAX_LEVELS)["level"])


def shares_by_level(values: "pl.Series", levels: tuple[str, ...]) -> tuple[float, ...]:
    """Give the share of each level and, last, of all others; nulls are left out."""
    import polars as pl

    filled = values.drop_nulls().cast(pl.String).alias("level")
    if filled.is_empty():
        return ()
    counts = dict(filled.value_counts().iter_rows())
    shares = [counts.get(level, 0) / len(filled) for level in levels]
    return (*shares, max(0.0, 1 - sum(shares)))
