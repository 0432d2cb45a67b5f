"""Which rows no training sees: the newest where rows are dated, a fixed draw by content where they are not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import SHARE
from understudy.contract.declared import format_duration, parse_duration
from understudy.contract.metrics import METRICS
from understudy.contract.words import MlTask
from understudy.stages.context import Refused
from understudy.stages.redact import SHOWN_CHARACTERS
from understudy.stages.row_hash import places_of, placing_columns, row_places
from understudy.stages.window import Array, Window, read_window

LEAST_ROWS = {"holdout": 10, "train": 30, "validation": 10}
"""Below this a fit or a metric is noise; whether more is needed is for the gates to say."""


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


class Unsplittable(Refused):
    """A window cannot be divided into parts that mean anything."""

    def __init__(self, message: str, field: str, shortage: str, found: int, least: int) -> None:
        self.shortage, self.found, self.least = shortage, found, least
        super().__init__(message, field)


def split_window(window: Window, spec: ModelSpec) -> Split:
    """Split a window as the spec declares.

    :raises Unsplittable: where a part has too few rows, or too few different labels, to mean anything.
    """
    if window.times is None:
        return _usable(_by_content(row_places(window.frame, spec.data), spec), window, spec)
    return _usable(_by_time(window.times, spec), window, spec)


def split_file(path: Path, spec: ModelSpec) -> Split:
    """Split a window that lies in a file, without more of it in memory than the split needs.

    No row of the file may be without a label. Gives the positions that :func:`split_window` gives for the same window.

    :raises Refused: as :func:`read_window` and :func:`split_window` do.
    """
    data = spec.data
    window = read_window(path, spec, columns=[data.target, *([data.time] if data.time else [])])
    if window.times is not None:
        return split_window(window, spec)
    names = placing_columns(pq.read_schema(path).names, data)
    columns = (pd.read_parquet(path, columns=[name])[name] for name in names)
    return _usable(_by_content(places_of(columns, len(window)), spec), window, spec)


def _usable(split: Split, window: Window, spec: ModelSpec) -> Split:
    for require in (_require_rows, _require_two_labels):
        for part in LEAST_ROWS:
            require(part, getattr(split, part), window, spec)
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
        raise Refused(f"{text!r} is not a share; rows without dates can only be split by shares such as 20%", "split")
    return float(match[1]) / 100


def _require_rows(part: str, rows: Array, window: Window, spec: ModelSpec) -> None:
    least = LEAST_ROWS[part]
    if len(rows) < least:
        field = "data.window" if part == "train" else f"split.{part}"
        raise Unsplittable(
            f"the {part} part has {len(rows):,} of the window's {len(window):,} rows, {least} are needed"
            f"{_few_times(window)}: {_more_rows(window, spec)}, or {_another_split(part, spec)}",
            field,
            "split_rows",
            len(rows),
            least,
        )


def _require_two_labels(part: str, rows: Array, window: Window, spec: ModelSpec) -> None:
    """Refuse a part that a score cannot be taken on, or that teaches nothing."""
    if not _needs_two_labels(part, spec):
        return
    labels = window.labels[rows]
    if (labels == labels[0]).all():
        what = "class" if spec.task.is_classification else "value"
        why = "there is nothing to learn" if part == "train" else "nothing can be measured on it"
        raise Unsplittable(
            f"the {part} part of {len(rows):,} rows has the single {what} {str(labels[0])[:SHOWN_CHARACTERS]!r} of "
            f"{spec.data.target!r}, so {why}: check the labels, {_more_rows(window, spec)}, or "
            f"{_another_split(part, spec)}",
            "data.window" if part == "train" else f"split.{part}",
            "split_labels",
            1,
            2,
        )


def _needs_two_labels(part: str, spec: ModelSpec) -> bool:
    """Of two classes, one alone says nothing; one of several may well come in a row, and most metrics take that."""
    if spec.task is MlTask.BINARY or (spec.task is MlTask.MULTICLASS and part == "train"):
        return True
    return any(METRICS[gate.metric].needs_contrast for gate in spec.gates)


def _more_rows(window: Window, spec: ModelSpec) -> str:
    """Say how to get more rows, and how many would be enough where shares alone decide that."""
    data, enough = spec.data, _enough_rows(spec)
    told = f" (about {enough:,} in all)" if enough is not None and enough > len(window) else ""
    if data.window is not None:
        return f"widen data.window ({format_duration(data.window)}) for more rows{told}"
    return f"deliver more rows{told}"


def _few_times(window: Window) -> str:
    distinct = len(window) if window.times is None else window.times.nunique()
    if distinct == len(window) or distinct >= sum(LEAST_ROWS.values()):
        return ""
    return f" (rows of one time stay together, and these have {distinct:,} different time{'s' * (distinct != 1)})"


def _enough_rows(spec: ModelSpec) -> int | None:
    shares = [SHARE.match(text) for text in (spec.split.holdout, spec.split.validation)]
    holdout, validation = (float(share[1]) / 100 if share else None for share in shares)
    if holdout is None or validation is None or spec.split.embargo:
        return None
    rest = 1 - holdout
    parts = {"holdout": holdout, "validation": rest * validation, "train": rest * (1 - validation)}
    return max(spec.checks.min_rows, *(math.ceil(LEAST_ROWS[part] / share) for part, share in parts.items()))


def _another_split(part: str, spec: ModelSpec) -> str:
    """Name the settings that this part's size follows from."""
    split = spec.split
    settings = [f"split.holdout ({split.holdout})"]
    if part != "holdout":
        settings.append(f"split.validation ({split.validation})")
        if split.embargo:
            settings.append(f"split.embargo ({format_duration(split.embargo)})")
    return f"change {' or '.join(settings)}"
