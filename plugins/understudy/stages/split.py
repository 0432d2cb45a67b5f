"""Which rows no training sees: the newest where rows are dated, a fixed draw by content where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.declared import parse_duration
from understudy.contract.spec import ModelSpec
from understudy.contract.train_spec import SHARE
from understudy.stages.context import Refused
from understudy.stages.row_hash import row_places
from understudy.stages.window import Array, Window

MIN_TRAIN_ROWS = 30
MIN_JUDGED_ROWS = 10  # below this a metric is noise; whether more is needed is for the gates to say


@dataclass(frozen=True)
class Split:
    """Name rows by position.

    ``train`` and ``validation`` are for trials, ``rest`` for the final fit, ``holdout`` for the gates.

    ``rest`` holds everything before the embargo, so also the gap between train and validation. ``embargoed`` rows are
    used by nobody.
    """

    train: Array
    validation: Array
    rest: Array
    embargoed: Array
    holdout: Array
    holdout_below: float | None = None
    """For undated rows: the places below which a row belongs to the holdout."""


def split_window(window: Window, spec: ModelSpec) -> Split:
    """Split a window as the spec declares.

    :raises Refused: where a part has too few rows to mean anything.
    """
    if window.times is None:
        split = _by_content(row_places(window.frame, spec.data), spec)
    else:
        split = _by_time(window.times, spec)
    for part, minimum, field in (
        ("holdout", MIN_JUDGED_ROWS, "split.holdout"),
        ("train", MIN_TRAIN_ROWS, "data.window"),
        ("validation", MIN_JUDGED_ROWS, "split.validation"),
    ):
        rows = len(getattr(split, part))
        if rows < minimum:
            raise Refused(
                f"The {part} part of {len(window):,} rows has {rows} rows; {minimum} are needed. "
                f"Widen data.window or change {'split.holdout' if part == 'train' else field}",
                field,
            )
    _require_two_classes(window, split, spec)
    return split


def _by_time(times: pd.Series[Any], spec: ModelSpec) -> Split:
    stamps = times.to_numpy(dtype="datetime64[us]")
    start = _border(stamps, spec.split.holdout)
    rest_ends = int(np.searchsorted(stamps, _before(stamps, start, spec.split.embargo), side="left"))
    rest = stamps[:rest_ends]
    validation = _border(rest, spec.split.validation) if len(rest) else 0
    train_ends = int(np.searchsorted(rest, _before(rest, validation, spec.split.embargo), side="left"))
    everything = np.arange(len(stamps))
    return Split(
        train=everything[:train_ends],
        validation=everything[validation:rest_ends],
        rest=everything[:rest_ends],
        embargoed=everything[rest_ends:start],
        holdout=everything[start:],
    )


def _border(stamps: Array, newest: str) -> int:
    """Find the first row of the newest part; rows of one instant always stay together, on the newer side."""
    share = SHARE.match(newest)
    if share is None:
        duration: timedelta = parse_duration(newest)
        return int(np.searchsorted(stamps, stamps[-1] - np.timedelta64(duration), side="right"))
    wanted = len(stamps) - int(np.ceil(len(stamps) * float(share[1]) / 100))
    return int(np.searchsorted(stamps, stamps[wanted], side="left"))


def _before(stamps: Array, start: int, embargo: timedelta) -> Any:
    """Give the instant that a row must precede to be usable before the part that begins at ``start``."""
    border = stamps[start] if start < len(stamps) else np.datetime64("NaT")
    return border - np.timedelta64(embargo)


def _by_content(places: Array, spec: ModelSpec) -> Split:
    holdout_below = _share(spec.split.holdout)
    validation_below = holdout_below + (1 - holdout_below) * _share(spec.split.validation)
    rest = places >= holdout_below
    return Split(
        train=np.flatnonzero(places >= validation_below),
        validation=np.flatnonzero(rest & (places < validation_below)),
        rest=np.flatnonzero(rest),
        embargoed=np.array([], dtype=np.int64),
        holdout=np.flatnonzero(~rest),
        holdout_below=holdout_below,
    )


def _share(text: str) -> float:
    match = SHARE.match(text)
    if match is None:
        raise Refused(f"{text!r} is no share; rows without dates can only be split by shares such as 20%", "split")
    return float(match[1]) / 100


def _require_two_classes(window: Window, split: Split, spec: ModelSpec) -> None:
    if not spec.task.is_classification:
        return
    for rows, what in ((split.train, "the training part"), (split.rest, "everything before the holdout")):
        seen = np.unique(window.labels[rows])
        if len(seen) < 2:
            raise Refused(
                f"{what.capitalize()} has the single class {str(seen[0])!r} of {spec.data.target!r}; "
                "there is nothing to learn. Widen data.window",
                "data.window",
            )
