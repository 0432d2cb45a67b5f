"""The clean window that trials, training and evaluation read: its rows, their times and their labels."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.suggest import nearest
from understudy.contract.words import MlTask
from understudy.stages.context import Refused
from understudy.stages.redact import SHOWN_CHARACTERS

log = logging.getLogger(__name__)
MAX_CLASSES = 200  # confusion counts grow with its square; more classes than this are almost always a number or an id

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Window:
    """Hold labelled rows, oldest first where they are dated; ``times`` are in UTC."""

    frame: pd.DataFrame
    labels: Array
    times: pd.Series[Any] | None

    def take(self, rows: Array) -> Window:
        """Select rows by position."""
        times = None if self.times is None else self.times.iloc[rows].reset_index(drop=True)
        return Window(self.frame.iloc[rows].reset_index(drop=True), self.labels[rows], times)

    @property
    def first_time(self) -> datetime | None:
        """Give the time of the oldest row, in whole microseconds; None where rows are not dated."""
        return None if self.times is None else self.times.iloc[0].to_pydatetime(warn=False)

    @property
    def last_time(self) -> datetime | None:
        """Give the time of the newest row, in whole microseconds; None where rows are not dated."""
        return None if self.times is None else self.times.iloc[-1].to_pydatetime(warn=False)

    def __len__(self) -> int:
        return len(self.frame)


def read_window(path: Path, spec: ModelSpec, *, any_classes: bool = False, columns: list[str] | None = None) -> Window:
    """Read a Parquet file as the spec describes it.

    :param any_classes: accept whichever classes there are; a holdout that was thinned may well have only one.
    :param columns: read no others than these; target and time must be among them.
    :raises Refused: where target or time are missing or cannot be what the spec says.
    """
    frame = pd.read_parquet(path, columns=columns)
    target = spec.data.target
    _require(frame, target, "data.target")
    unlabelled = frame[target].isna()
    if unlabelled.any():
        log.warning("%d rows without a label are left out", int(unlabelled.sum()))
        frame = frame[~unlabelled]
    if frame.empty:
        raise Refused("The window holds no labelled row; widen data.window or wait for labels.", "data.window")
    times = None
    if spec.data.time is not None:
        _require(frame, spec.data.time, "data.time")
        times = _in_utc(frame[spec.data.time], spec.data.time)
        order = np.argsort(times.to_numpy(dtype="datetime64[us]"), kind="stable")  # else a Timestamp for each row
        frame, times = frame.iloc[order], times.iloc[order].reset_index(drop=True)
    frame = frame.reset_index(drop=True)
    labels = read_labels(frame[target], spec.task)
    if spec.task.is_classification and not any_classes:
        _check_classes(labels, target, spec.task)
    return Window(frame, labels, times)


def _require(frame: pd.DataFrame, column: str, field: str) -> None:
    if column not in frame.columns:
        raise Refused(
            f"{field} names {column!r}, which the data do not have{nearest(column, map(str, frame.columns))}", field
        )


def _in_utc(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    if not pd.api.types.is_datetime64_any_dtype(column):
        raise Refused(
            f"data.time names {name!r}, whose values are not times ({column.dtype}); give data.time_format "
            "or name another column",
            "data.time",
        )
    if column.isna().any():
        raise Refused(f"{int(column.isna().sum())} rows have no {name!r}, so they cannot be put in order", "data.time")
    zoned: pd.Series[Any] = column.dt.tz_localize("UTC") if column.dt.tz is None else column.dt.tz_convert("UTC")
    return zoned


def read_labels(column: pd.Series[Any], task: MlTask) -> Array:
    """Turn a target column into numbers, or into classes of one kind: text, whole number or truth value.

    :raises Refused: where the values do not fit the task.
    """
    if task is MlTask.REGRESSION:
        return _numbers(column)
    if pd.api.types.is_bool_dtype(column):
        labels: Array = column.to_numpy(dtype=bool)
    elif pd.api.types.is_numeric_dtype(column) and bool((column.astype(float) % 1 == 0).all()):
        labels = column.to_numpy(dtype=np.int64)
    else:
        labels = column.astype(str).to_numpy(dtype=object).astype(str)
    return labels


def _numbers(column: pd.Series[Any]) -> Array:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise Refused(
            f"task is regression, but the target {column.name!r} holds {column.dtype} values, no numbers "
            f"(for example {str(column.iloc[0])[:SHOWN_CHARACTERS]!r}); name another data.target or a classification "
            "task, or say by data.decimal and data.thousands how numbers are written",
            "data.target",
        )
    labels: Array = column.to_numpy(dtype=np.float64)
    if not np.isfinite(labels).all():
        raise Refused(
            f"The target {column.name!r} holds infinite values; correct them or let checks.columns bound them",
            "data.target",
        )
    return labels


def _check_classes(labels: Array, target: str, task: MlTask) -> None:
    classes = np.unique(labels)
    if len(classes) < 2:
        raise Refused(
            f"The target {target!r} has the single class {str(classes[0])!r} in this window; "
            "there is nothing to learn. Widen data.window or check data.target",
            "data.target",
        )
    if len(classes) > MAX_CLASSES:
        raise Refused(
            f"The target {target!r} has {len(classes):,} classes; at most {MAX_CLASSES} are supported. "
            "Write task: regression if it is a number",
            "task",
        )
    if task is MlTask.BINARY and len(classes) > 2:
        shown = ", ".join(map(str, classes[:5]))
        raise Refused(
            f"The target {target!r} has {len(classes)} classes ({shown}{', …' if len(classes) > 5 else ''}); "
            "write task: multiclass_classification",
            "task",
        )


def label_texts(labels: Array) -> Array:
    """Write labels as text, so that 1, 1.0 and "1" are the same class for every model."""
    if np.issubdtype(labels.dtype, np.floating) and bool(np.all(labels % 1 == 0)):
        labels = labels.astype(np.int64)
    texts: Array = labels.astype(str)
    return texts
