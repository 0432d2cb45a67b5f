"""What the champion answered, and what turned out to be true."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from understudy.contract.words import LiveColumn, MlTask
from understudy.stages.context import Refused
from understudy.stages.live_rows import LiveRows, in_utc
from understudy.stages.look import Look
from understudy.stages.measure.answers import Answers, all_classes, ask, class_numbers
from understudy.stages.measure.value import with_values
from understudy.stages.model.features import FeatureMissing
from understudy.stages.window import Array, Window, label_texts, read_labels

Dated = tuple[Answers, "pd.Series[Any] | None"]


@dataclass(frozen=True)
class Labels:
    """Say how many rows the champion answered and how many of these have a label."""

    rows: int
    labelled: int
    newest: datetime | None = None
    """When the newest label arrived, where that is known."""


def is_labelled(rows: LiveRows, target: str) -> pl.Expr:
    """Select rows with a label and, where answers were logged, with one."""
    columns, wanted = rows.columns, pl.lit(value=True)
    for column in (target, LiveColumn.PREDICTION.value):
        if column in columns:
            wanted = wanted & pl.col(column).is_not_null()
    return wanted if target in columns else pl.lit(value=False)


def count_labels(rows: LiveRows, target: str) -> Labels:
    """Count over all rows, by streaming."""
    table, newest = rows.table, pl.lit(None)
    if rows.has(LiveColumn.LABEL_AT):
        table, newest = in_utc(table, LiveColumn.LABEL_AT.value), pl.col(LiveColumn.LABEL_AT.value).max()
    is_known = is_labelled(rows, target)
    asked = table.select(pl.len().alias("rows"), is_known.sum().alias("labelled"), newest.alias("newest"))
    count, labelled, at = asked.collect(engine="streaming").row(0)
    return Labels(int(count), int(labelled) if count else 0, at)


def champion_answers(look: Look, rows: pl.DataFrame, code: Path | None) -> Dated:
    """Let the champion answer rows of its reference window.

    :raises Refused: where they lack one of its features.
    """
    window = _window(look, rows, look.spec.data.time)
    try:
        answers = ask(look.champion, window, all_classes(window, [look.champion]))
    except FeatureMissing as gone:
        raise Refused(f"The champion cannot answer its own reference window: {gone}") from gone
    return with_values(answers, look.spec, code), window.times


def live_answers(look: Look, rows: pl.DataFrame, code: Path | None) -> Dated:
    """Give the answers to labelled live rows: those that were logged, else what the champion says now.

    :raises Refused: where labels are of another kind than the champion's, or nothing says what was answered.
    """
    window = _window(look, rows, look.rows.time)
    if look.spec.task.is_classification and len(window):
        _check_kind(label_texts(window.labels), look)
    classes = all_classes(window, [look.champion])
    target = look.spec.data.target
    said = rows.filter(pl.col(target).is_not_null()) if target in rows.columns else rows.clear()
    if look.rows.time is not None:
        said = said.sort(look.rows.time, maintain_order=True)
    answers = _as_logged(_asked(look, window, classes), said, window, look.spec.task, classes)
    return with_values(answers, look.spec, code), window.times


def live_scores(look: Look, rows: pl.DataFrame) -> Array | None:
    """Give the champion's probabilities for rows, labelled or not; None where it has none or cannot answer."""
    if not look.champion.classes or rows.is_empty():
        return None
    if len(look.champion.classes) == 2 and LiveColumn.PROBABILITY.value in rows.columns:
        second = rows[LiveColumn.PROBABILITY.value].cast(pl.Float64, strict=False).to_numpy()
        return np.column_stack([1 - second, second])
    try:
        return look.champion.predict_proba(rows.to_pandas())
    except FeatureMissing:
        return None


def _window(look: Look, rows: pl.DataFrame, time: str | None) -> Window:
    target = look.spec.data.target
    if target not in rows.columns:
        return Window(pd.DataFrame(), np.array([]), None)
    known = rows.filter(pl.col(target).is_not_null())
    if time is not None:
        known = known.filter(pl.col(time).is_not_null()).sort(time, maintain_order=True)
    frame = known.to_pandas()
    return Window(frame, read_labels(frame[target], look.spec.task), None if time is None else frame[time])


def _asked(look: Look, window: Window, classes: tuple[str, ...]) -> Answers | None:
    try:
        return ask(look.champion, window, classes) if len(window) else None
    except FeatureMissing:
        return None  # what was logged has to do


def _as_logged(
    asked: Answers | None, rows: pl.DataFrame, window: Window, task: MlTask, classes: tuple[str, ...]
) -> Answers:
    """Put the logged answers in the place of what the champion would say now."""
    if LiveColumn.PREDICTION.value not in rows.columns or not len(window):
        if asked is None and len(window):
            raise Refused("The live rows lack features of the champion, and no answers were logged with them")
        return asked or Answers(task, classes, window.labels.astype(np.int64), np.array([], dtype=np.int64))
    logged = rows[LiveColumn.PREDICTION.value]
    if not task.is_classification:
        return Answers(task, (), window.labels, logged.cast(pl.Float64, strict=False).to_numpy())
    actual = class_numbers(window.labels, classes)
    predicted = class_numbers(read_labels(logged.to_pandas(), task), classes)
    scores = None if asked is None else asked.scores
    if task is MlTask.BINARY and len(classes) == 2 and LiveColumn.PROBABILITY.value in rows.columns:
        second = rows[LiveColumn.PROBABILITY.value].cast(pl.Float64, strict=False).to_numpy()
        scores = np.column_stack([1 - second, second])
    return replace(Answers(task, classes, actual, predicted), scores=scores)


def _check_kind(labels: Array, look: Look) -> None:
    """Refuse labels that share no class with the champion's: they say something else, and not that it is wrong."""
    known = {str(label) for label in label_texts(np.array(look.champion.classes))}
    seen = np.unique(labels).tolist()
    if not known & set(seen):
        raise Refused(
            f"The live labels are {', '.join(seen[:3])}, and the champion knows {', '.join(sorted(known)[:3])}; "
            "labels of another kind say nothing about it",
            "data.target",
        )
