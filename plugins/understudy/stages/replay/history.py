"""A model's past, and what of it was known when. All that keeps the future out of a replay is here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.replay.plan import Grid
from understudy.stages.measure.answers import class_numbers
from understudy.stages.window import Array, Window, label_texts, read_window

MAX_STEP_ROWS = 5_000  # a step's metric is then certain to less than a point; more would only cost time and space


@dataclass(frozen=True)
class History:
    """Hold all labelled rows, oldest first, and the moments between which they are replayed.

    Rows are named by their place. A row is *known* at a moment if it is older than that by more than the label delay.
    """

    spec: ModelSpec
    window: Window
    grid: Grid

    @cached_property
    def stamps(self) -> Array:
        """Give the rows' times in UTC."""
        if self.window.times is None:
            raise ValueError("only dated rows can be replayed")
        return self.window.times.to_numpy(dtype="datetime64[us]")

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Name all classes as text, in the order that a model of all of them would give them."""
        if not self.spec.task.is_classification:
            return ()
        return tuple(label_texts(np.unique(self.window.labels)).tolist())

    @cached_property
    def actual(self) -> Array:
        """Give what happened: the number of the class, or the number itself."""
        if not self.classes:
            return self.window.labels.astype(np.float64)
        return class_numbers(self.window.labels, self.classes)

    @cached_property
    def spread(self) -> float:
        """Give the target's standard deviation before the first training, the unit of a regression's loss."""
        first = self.window.labels[: self.known(0).stop]
        spread = float(np.std(first)) if not self.classes and len(first) else 1.0
        return spread if spread > 0 else 1.0

    @cached_property
    def answered(self) -> Array:
        """Mark the rows that models answer: all, or 5,000 evenly spread ones of what a step's length holds."""
        length = int(self.grid.step / (self.grid.step.resolution))
        bins = (self.stamps - moment64(self.grid.moments[0])).astype(np.int64) // length
        starts = np.flatnonzero(np.diff(bins, prepend=bins[:1] - 1))
        marks = np.zeros(len(bins), dtype=bool)
        for start, end in zip(starts, [*starts[1:], len(bins)], strict=True):
            count = min(end - start, MAX_STEP_ROWS)
            marks[np.unique(np.linspace(start, end - 1, count).astype(np.int64))] = True
        return marks

    @property
    def is_thinned(self) -> bool:
        """Tell whether some rows are answered by no model."""
        return not bool(self.answered.all())

    def before(self, moment: datetime) -> int:
        """Count the rows that are older than a moment."""
        return int(np.searchsorted(self.stamps, moment64(moment), side="left"))

    def known(self, place: int) -> slice:
        """Give the rows that a training at a moment of the grid may read: labelled by then, and in its window."""
        start = self.grid.trained_from(place)
        return slice(0 if start is None else self.before(start), self.before(self.grid.known_until(place)))

    def step_rows(self, step: int) -> Array:
        """Give the answered rows of a step; step 1 lies between the first two moments."""
        start, end = (self.before(self.grid.moments[place]) for place in (step - 1, step))
        return start + np.flatnonzero(self.answered[start:end])

    def losses(self, rows: Array, predicted: Array) -> Array:
        """Give each row's loss: 0 or 1 for classes, the absolute error in spreads of the target else."""
        if self.classes:
            wrong: Array = (predicted != self.actual[rows]).astype(np.float64)
            return wrong
        errors: Array = np.abs(predicted - self.actual[rows]) / self.spread
        return errors


def read_history(path: Path, spec: ModelSpec, grid: Grid) -> History:
    """Read a snapshot of all rows of a replay.

    :raises Refused: where target or time cannot be what the declaration says.
    """
    return History(spec, read_window(path, spec), grid)


def moment64(moment: datetime) -> Any:
    """Turn a moment into numpy's kind, in UTC."""
    return np.datetime64(moment.astimezone(timezone.utc).replace(tzinfo=None), "us")
