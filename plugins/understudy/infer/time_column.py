"""Which column dates the rows, and what follows from it."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from understudy.infer.errors import CannotInfer
from understudy.stages.context import Refused
from understudy.stages.read.column_kind import NUMERIC, kind_of
from understudy.stages.read.parse_time import parse_times

if TYPE_CHECKING:
    import polars as pl

NAMED_LIKE_TIME = re.compile(r"(^|_)(time|timestamp|datetime|date|ts|created|occurred|at)($|_)", re.IGNORECASE)
NOT_OF_THE_ROW = re.compile(r"birth|dob|expir|valid|due", re.IGNORECASE)
FORMAT_IN_MESSAGE = re.compile(r'"([^"]+)" or "([^"]+)"')
ORDERED_ABOVE = 0.6
LOST_SHARE = 0.01
TRIED_FIRST = 5
SHORT_YEARS = tuple(date for mark in "/-." for date in (f"%d{mark}%m{mark}%y", f"%m{mark}%d{mark}%y"))
MONTH_NAMES = ("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y")  # %b reads whole names as well
HALF_DAYS = (" %I:%M %p", " %I:%M:%S %p")
UNUSUAL_FORMATS = (
    *(date + clock for date in (*SHORT_YEARS, *MONTH_NAMES) for clock in ("", " %H:%M", " %H:%M:%S", *HALF_DAYS)),
    *(date + clock for date in ("%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d") for clock in HALF_DAYS),
)


@dataclass(frozen=True)
class Dated:
    """Hold the rows in time order where a column dates them."""

    table: "pl.DataFrame"
    time: str | None
    time_format: str | None
    notes: tuple[str, ...]


def date_rows(table: "pl.DataFrame", time: str | None, target: str) -> Dated:
    """Parse and sort by the time column, choosing one by name and content where none is given.

    :raises CannotInfer: when the given column holds no times.
    """
    chosen = time or _choose(table, target)
    if chosen is None:
        return Dated(table, None, None, tuple(_undated(table, target)))
    notes = [] if time else [f"No time column was given; {chosen} holds times and dates the rows."]
    times, time_format, about_format = _parse(table[chosen])
    notes += about_format
    lost = times.null_count()
    if lost > table.height * LOST_SHARE:
        raise CannotInfer(f"--time {chosen}: {_lost(table[chosen], times)}; name another column, or repair the file")
    if times.n_unique() - bool(lost) == 1:
        raise CannotInfer(
            f"--time {chosen}: all rows have the same one ({times.drop_nulls()[0]:%Y-%m-%d %H:%M}), which orders "
            "nothing; name another column, or leave --time out"
        )
    if lost:
        notes.append(f"{lost:,} rows have no readable {chosen}; they are left out of every window.")
    dated = table.with_columns(times.alias(chosen)).filter(times.is_not_null())
    if not dated[chosen].is_sorted():
        notes.append(f"The file is not in the order of {chosen}; every snapshot is sorted by it.")
        dated = dated.sort(chosen, maintain_order=True)
    shared = dated.height - dated[chosen].n_unique()
    if shared:
        notes.append(
            f"{shared:,} rows ({shared / dated.height:.1%}) have the same {chosen} as another one. If there "
            "must be only one, "
            f"set checks.columns.{chosen}.unique: true."
        )
    return Dated(dated, chosen, time_format, tuple(notes))


def _lost(raw: "pl.Series", times: "pl.Series") -> str:
    broken = raw.filter(times.is_null() & raw.is_not_null())
    empty = times.null_count() - len(broken)
    shown = ", ".join(repr(str(value)) for value in broken.head(3))
    parts = [f"{empty:,} are empty"] if empty else []
    parts += [f"{len(broken):,} are not times, for example {shown}"] if len(broken) else []
    return f"of {len(raw):,} values {' and '.join(parts)}"


def _parse(values: "pl.Series") -> "tuple[pl.Series, str | None, list[str]]":
    try:
        times = parse_times(values, None)
        fitting = _unusual(values) if times.null_count() > values.null_count() else []
        if not fitting:
            return times, None, []
    except Refused as refused:
        formats = FORMAT_IN_MESSAGE.search(refused.message)
        if formats is None:
            raise CannotInfer(refused.message) from refused
        fitting = list(formats.groups())
    readings = {spelled: parse_times(values, spelled) for spelled in fitting}
    best = max(readings, key=lambda spelled: int((readings[spelled].diff().dt.total_seconds() >= 0).sum()))
    if len(readings) == 1:
        return readings[best], best, [f"The times are written as {best}; data.time_format says so."]
    return (
        readings[best],
        best,
        [
            f"The times may be day/month or month/day; {best} was taken because it keeps the rows in order best. "
            "Check data.time_format."
        ],
    )


def _unusual(values: "pl.Series") -> list[str]:
    """List the patterns that fit all texts and that no reader guesses, since others would fit some of them as well."""
    if kind_of(values.dtype) != "text":
        return []
    filled = values.drop_nulls()
    likely = [spelled for spelled in UNUSUAL_FORMATS if not parse_times(filled.head(TRIED_FIRST), spelled).null_count()]
    return [spelled for spelled in likely if not parse_times(filled, spelled).null_count()]


def _choose(table: "pl.DataFrame", target: str) -> str | None:
    for column in table.columns:
        if column == target or not NAMED_LIKE_TIME.search(column) or NOT_OF_THE_ROW.search(column):
            continue
        kind = kind_of(table.schema[column])
        holds = kind == "time" or (kind == "text" and holds_times(table[column]))
        if holds and table[column].drop_nulls().n_unique() > 1:  # a single one orders nothing
            return column
    return None


def holds_times(values: "pl.Series") -> bool:
    """Tell whether a text column's values are all dates or times."""
    filled = values.drop_nulls().head(1000)
    if filled.is_empty():
        return False
    try:
        return parse_times(filled, None).null_count() == 0 or bool(_unusual(filled))
    except Refused as refused:
        return FORMAT_IN_MESSAGE.search(refused.message) is not None


def _undated(table: "pl.DataFrame", target: str) -> list[str]:
    follower = _follows_row_number(table, target)
    notes = [
        "No column dates the rows, so the holdout is a random part of them (split.method: random). How "
        "well the model does on "
        "future data stays unknown until there is a time column."
    ]
    if follower:
        column, strength = follower
        notes.append(
            f"The rows look ordered all the same: {column} follows the row number (rank correlation "
            f"{strength:+.2f}). A random holdout "
            "then flatters the model, since training sees rows from after it; add the date at the source if you can."
        )
    return notes


def _follows_row_number(table: "pl.DataFrame", target: str) -> tuple[str, float] | None:
    import polars as pl

    found: list[tuple[str, float]] = []
    for column in table.columns:
        values = table[column]
        # A column that rises with every row is a row number itself and proves nothing.
        if column == target or kind_of(values.dtype) not in NUMERIC or values.n_unique() == table.height:
            continue
        ranked = pl.DataFrame({"row": pl.int_range(table.height, eager=True), "value": values}).drop_nulls()
        strength = ranked.select(pl.corr("row", "value", method="spearman")).item()
        if strength is not None and abs(strength) > ORDERED_ABOVE:
            found.append((column, float(strength)))
    return max(found, key=lambda pair: abs(pair[1]), default=None)
