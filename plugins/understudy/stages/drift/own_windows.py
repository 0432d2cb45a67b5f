"""The reference's own windows: stretches as long as a current window, in which nothing is to be found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from understudy.contract.declared import format_duration
from understudy.contract.judges.drift import MIN_WINDOWS
from understudy.stages.drift.scale import MIN_VALUES
from understudy.stages.sample import ROW, SAMPLE_ROWS, row_draw

MAX_WINDOWS = 40
WINDOW_ROWS = 5_000  # of a window; its noise is then far below the smallest distance that counts
WINDOW = "__window"
DRAW = "__draw"


@dataclass(frozen=True)
class OwnWindows:
    """Hold an even sample of the reference and one of its windows; ``__window`` numbers them, the newest is 0."""

    rows: int
    """Rows of the whole reference."""
    sample: pl.DataFrame
    windows: pl.DataFrame
    length: str
    """How long a window is, in words."""

    @property
    def numbers(self) -> list[int]:
        """Number the windows that have enough rows."""
        return sorted(self.windows[WINDOW].unique().to_list())

    def window(self, number: int) -> pl.DataFrame:
        """Give the rows of one window."""
        return self.windows.filter(pl.col(WINDOW) == number)

    def without(self, number: int) -> pl.DataFrame:
        """Give the sampled rows outside one window."""
        return self.sample.filter(pl.col(WINDOW).ne_missing(number))


def own_windows(
    reference: pl.LazyFrame, columns: list[str], *, time: str | None, length: timedelta, window_rows: int, seed: int
) -> OwnWindows:
    """Cut the reference into windows and sample it, in two passes of bounded memory.

    Dated rows are cut by time, others by number, from the newest backwards. A reference that is shorter than eight
    windows is cut into eight shorter ones: these differ more by chance, so thresholds err on the quiet side.

    :param window_rows: how many rows the current window has; own windows are thinned to as many, since small windows
        lie further from everything.
    """
    count, numbered, told = _numbered(reference, time, length, window_rows)
    sizes = numbered.group_by(WINDOW).len().filter(pl.col(WINDOW).is_not_null()).collect(engine="streaming")
    chosen = _choose(sizes, min(window_rows, WINDOW_ROWS))
    wanted = [*dict.fromkeys([*columns, WINDOW, DRAW])]
    sample_share = min(1.0, SAMPLE_ROWS / count) if count else 1.0
    drawn = (
        numbered.join(chosen.lazy(), on=WINDOW, how="left", maintain_order="left")
        .with_columns(row_draw(seed).alias(DRAW))
        .filter((pl.col(DRAW) < sample_share) | (pl.col(DRAW) < pl.col("share").fill_null(0.0)))
        .select(*wanted, "share")
        .collect(engine="streaming")
    )
    return OwnWindows(
        rows=count,
        sample=drawn.filter(pl.col(DRAW) < sample_share).select(*columns, WINDOW),
        windows=drawn.filter(pl.col(DRAW) < pl.col("share").fill_null(0.0)).select(*columns, WINDOW),
        length=told,
    )


def _numbered(
    reference: pl.LazyFrame, time: str | None, length: timedelta, window_rows: int
) -> tuple[int, pl.LazyFrame, str]:
    if time is None:
        count = int(reference.select(pl.len()).collect().item())
        size = max(1, min(window_rows, count // MIN_WINDOWS))
        number = (pl.lit(count - 1) - pl.col(ROW).cast(pl.Int64)) // size
        return count, reference.with_row_index(ROW).with_columns(number.alias(WINDOW)), f"{size:,} rows"
    count, oldest, newest = (
        reference.select(pl.len(), pl.col(time).min().alias("from"), pl.col(time).max().alias("to")).collect().row(0)
    )
    if oldest is None:
        return count, reference.with_row_index(ROW).with_columns(pl.lit(None, pl.Int64).alias(WINDOW)), "no time"
    span = newest - oldest
    asked, length = length, max(min(length, span / MIN_WINDOWS), timedelta(microseconds=1))
    number = (pl.lit(newest) - pl.col(time)).dt.total_microseconds() // int(length / timedelta(microseconds=1))
    # The oldest row would be a window of its own where the span is a multiple of the length.
    number = number.clip(upper_bound=max(0, -(-span // length) - 1))
    told = format_duration(length) if length == asked else f"{length / timedelta(days=1):.3g} days"
    return count, reference.with_row_index(ROW).with_columns(number.alias(WINDOW)), told


def _choose(sizes: pl.DataFrame, window_rows: int) -> pl.DataFrame:
    """Choose at most 40 windows evenly, and the share of each window's rows that is looked at."""
    if sizes.height:
        usual = float(np.median(sizes["len"].to_numpy()))
        sizes = sizes.filter(pl.col("len") >= max(MIN_VALUES, min(window_rows, usual) / 2)).sort(WINDOW)
    if sizes.height > MAX_WINDOWS:
        places = np.unique(np.linspace(0, sizes.height - 1, MAX_WINDOWS).round().astype(int))
        sizes = sizes[places.tolist()]
    return sizes.select(WINDOW, (window_rows / pl.col("len")).clip(upper_bound=1.0).alias("share"))
