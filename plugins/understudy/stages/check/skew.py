"""Compare a window with the champion's training data."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from understudy.contract.declaration.data import ChecksSpec
from understudy.contract.reports import ColumnProfile, Finding
from understudy.stages.profile import shares_by_bin, shares_by_level
from understudy.stages.read.column_kind import NUMERIC, kind_of, same_kind

if TYPE_CHECKING:
    import polars as pl


def check_skew(
    sample: "pl.DataFrame", reference: Mapping[str, ColumnProfile], ignored: frozenset[str], checks: ChecksSpec
) -> Iterator[Finding]:
    """Compare column names, kinds and histograms, but for the ignored columns."""
    there, known = set(sample.columns) - ignored, reference.keys() - ignored
    yield from map(_missing, sorted(known - there))
    yield from map(_new, sorted(there - known))
    alike = []
    for column in (column for column in sample.columns if column in there & known):
        before, now = reference[column].type, kind_of(sample.schema[column])
        if same_kind(before, now):
            alike.append(column)
        else:
            yield _other_kind(column, before, now)
    distances = {column: _distance(sample[column], reference[column]) for column in alike}
    yield from _moved({column: far for column, far in distances.items() if far is not None}, checks)


def _missing(column: str) -> Finding:
    return Finding(
        check="schema",
        column=column,
        bound="every column of the champion's training data",
        failed=True,
        batch_level=True,
        measured=0.0,
        sentence=f"column {column!r} of the champion's training data is missing",
    )


def _new(column: str) -> Finding:
    return Finding(
        check="schema",
        column=column,
        bound="the columns of the champion's training data",
        failed=False,
        batch_level=True,
        measured=1.0,
        sentence=f"column {column!r} is new: the champion was trained without it",
    )


def _other_kind(column: str, before: str, now: str) -> Finding:
    return Finding(
        check="type",
        column=column,
        bound=f"{before}, as in the champion's training data",
        failed=True,
        batch_level=True,
        measured=0.0,
        sentence=f"column {column!r} was {before} in the champion's training data and is {now} now",
    )


def _moved(distances: Mapping[str, float], checks: ChecksSpec) -> Iterator[Finding]:
    moved = {column: far for column, far in distances.items() if far > checks.max_skew}
    for column, far in moved.items():
        yield Finding(
            check="skew",
            column=column,
            measured=far,
            bound=f"at most {checks.max_skew:g}",
            failed=False,
            batch_level=True,
            sentence=f"column {column!r} has moved from the champion's training data: Jensen-Shannon distance "
            f"{far:.2f}, noticed above {checks.max_skew:g}",
        )
    if distances:
        share = len(moved) / len(distances)
        yield Finding(
            check="skewed_columns",
            measured=share,
            bound=f"at most {checks.max_skewed_share:.0%} of the columns",
            batch_level=True,
            failed=share > checks.max_skewed_share,
            sentence=f"{len(moved)} of {len(distances)} columns have moved far from the champion's training data; "
            f"at most {checks.max_skewed_share:.0%} may",
        )


def _distance(values: "pl.Series", before: ColumnProfile) -> float | None:
    now = shares_by_bin(values, before.edges) if before.type in NUMERIC else shares_by_level(values, before.levels)
    if not now or len(now) != len(before.counts):
        return None
    return jensen_shannon(now, before.counts, len(values) - values.null_count())


def jensen_shannon(one: tuple[float, ...], other: tuple[float, ...], rows: int) -> float:
    """Measure how unlike two histograms are, 0 to 1: the root of their Jensen-Shannon divergence in bits.

    Source: Lin 1991, IEEE Trans. Inf. Theory 37, 145-151. A histogram of few rows differs from its own origin by
    chance; the expected share of that, (bins - 1) / (8 rows) nats for a large reference, is subtracted first.
    """
    divergence = sum(_part(p, q) + _part(q, p) for p, q in zip(one, other, strict=True)) / 2
    by_chance = (sum(1 for p, q in zip(one, other, strict=True) if p + q > 0) - 1) / (8 * max(rows, 1) * math.log(2))
    return math.sqrt(min(1.0, max(0.0, divergence - by_chance)))


def _part(p: float, q: float) -> float:
    return p * math.log2(2 * p / (p + q)) if p > 0 else 0.0
