"""Read dates and times, whatever they look like; naive times are UTC."""

from typing import TYPE_CHECKING

from understudy.stages.context import Refused

if TYPE_CHECKING:
    import polars as pl

SAMPLE_ROWS = 1_000
CLOCKS = ("", " %H:%M:%S%.f", " %H:%M")
ISO_FORMATS = (
    *(f"%Y-%m-%d{clock}" for clock in CLOCKS),
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    *(f"%Y-%m-%d{gap}%H:%M:%S%.f{zone}" for gap in ("T", " ") for zone in ("%#z", " %#z")),
    *(f"%Y/%m/%d{clock}" for clock in CLOCKS),
    *(f"%Y%m%d{clock}" for clock in CLOCKS),
    *(f"%d.%m.%Y{clock}" for clock in CLOCKS),
)
DAY_FIRST = tuple(f"%d{mark}%m{mark}%Y{clock}" for mark in "/-" for clock in CLOCKS)
EPOCHS = ((1e11, "s", 1_000_000), (1e14, "ms", 1_000), (1e17, "us", 1))
EARLIEST_EPOCH_S = 100_000_000
FIRST_FULL_YEAR = 1000
COMPACT_FORMATS = ("%Y%m%d%H%M%S", "%Y%m%d%H%M")
COMPACT_YEARS = (1900, 2200)


def parse_times(values: "pl.Series", time_format: str | None) -> "pl.Series":
    """Turn a column into UTC times in microseconds; what does not parse becomes null.

    Texts follow ``time_format`` or the common pattern that fits most of them; whole numbers are seconds, milliseconds,
    micro- or nanoseconds since 1970 by their size, or dates such as 20240131 and 202401311530. A year of two digits is
    one only where ``time_format`` has %y: 05/01/24 would else be a day of the year 5.

    :raises Refused: when day and month could be swapped, or the values are no times at all.
    """
    import polars as pl

    kind = values.dtype
    if isinstance(kind, pl.Datetime):
        return _in_utc(values)
    if kind == pl.Date:
        return _in_utc(values.cast(pl.Datetime("us")))
    if kind.is_numeric() and time_format is None and _median(values) >= EARLIEST_EPOCH_S:
        compact = _from_compact(values) if kind.is_integer() else None
        return _from_epoch(values) if compact is None else compact
    if kind.is_integer() or kind == pl.String:
        texts = values.cast(pl.String).str.strip_chars()
        return _from_text(texts, _chrono(time_format) if time_format else _guess_format(texts))
    if kind == pl.Null:
        nothing: pl.Series = values.cast(pl.Datetime("us", "UTC"))
        return nothing
    raise Refused(
        f"data.time: the column {values.name!r} holds {kind} values, which are not times; name another column",
        "data.time",
    )


def _in_utc(values: "pl.Series") -> "pl.Series":
    import polars as pl

    in_us = values.dt.cast_time_unit("us")
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        return in_us.dt.convert_time_zone("UTC")
    return in_us.dt.replace_time_zone("UTC")


def _median(values: "pl.Series") -> float:
    middle = values.drop_nulls().abs().median()
    return float(middle) if isinstance(middle, (int, float)) else 0.0


def _from_epoch(values: "pl.Series") -> "pl.Series":
    import polars as pl

    size = _median(values)
    # In the 32 bits of some exports, microseconds would overflow silently.
    values = values.cast(pl.Int64 if values.dtype.is_integer() else pl.Float64, strict=False)
    factor = next((microseconds for limit, _, microseconds in EPOCHS if size < limit), None)
    in_us: pl.Series = values // 1_000 if factor is None else values * factor
    times: pl.Series = in_us.cast(pl.Int64, strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return times


def _from_compact(values: "pl.Series") -> "pl.Series | None":
    """Read digits such as 20240131153000; as seconds or milliseconds, none of these lies in a year that has data."""
    import polars as pl

    texts = values.cast(pl.String)
    for pattern in COMPACT_FORMATS:
        times = _from_text(texts, pattern)
        if times.null_count() == values.null_count() and times.dt.year().is_between(*COMPACT_YEARS).all():
            return times
    return None


def _from_text(texts: "pl.Series", pattern: str) -> "pl.Series":
    import polars as pl

    if "%H" in pattern and "%M" not in pattern:  # Rust's parser wants both or neither
        texts, pattern = texts + " 00", f"{pattern} %M"
    try:
        times = texts.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
    except pl.exceptions.ComputeError as impossible:
        raise Refused(
            f'data.time_format: {pattern!r} is no usable pattern; write for example "%d.%m.%Y %H:%M"',
            "data.time_format",
        ) from impossible
    is_full = times.dt.year() >= FIRST_FULL_YEAR
    return times if is_full.all() else times.to_frame().select(pl.when(is_full).then(pl.col(times.name)))[times.name]


def _chrono(strptime: str) -> str:
    """Translate the one directive in which Python's and Rust's patterns differ: ``.%f`` includes the point in Rust."""
    return strptime.replace(".%f", "%.f")


def _guess_format(texts: "pl.Series") -> str:
    filled = texts.drop_nulls()
    sample = filled.gather_every(max(1, len(filled) // SAMPLE_ROWS))

    def fits(pattern: str) -> int:
        return len(sample) - _from_text(sample, pattern).null_count()

    best = max((*ISO_FORMATS, *DAY_FIRST, *map(_swapped, DAY_FIRST)), key=fits)
    if best in DAY_FIRST:
        return _day_or_month_first(filled, best)
    return best


def _swapped(day_first: str) -> str:
    return day_first.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")


def _day_or_month_first(texts: "pl.Series", day_first: str) -> str:
    lost_day_first = _from_text(texts, day_first).null_count()
    lost_month_first = _from_text(texts, _swapped(day_first)).null_count()
    if lost_day_first == lost_month_first:
        raise Refused(
            f"data.time_format: {texts[0]!r} in the column {texts.name!r} may mean day/month or month/day; "
            f'write time_format: "{day_first.replace("%.f", "")}" or "{_swapped(day_first).replace("%.f", "")}"',
            "data.time_format",
        )
    return day_first if lost_day_first < lost_month_first else _swapped(day_first)
