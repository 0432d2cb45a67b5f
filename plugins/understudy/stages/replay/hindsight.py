"""What could have been known afterwards: losses of all models in all steps, and the best choice among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.stages.replay.history import History
from understudy.stages.replay.trainings import Trainings
from understudy.stages.window import Array


@dataclass(frozen=True)
class Losses:
    """Hold the summed loss of each training (line) in each step (column, the first step is 0).

    NaN where a training came later than the step, or was refused.
    """

    sums: Array
    rows: Array

    def of(self, in_force: tuple[int, ...]) -> float:
        """Give the mean loss of a row if the named trainings answer the steps."""
        steps = np.arange(len(in_force))
        return float(self.sums[np.array(in_force), steps].sum() / self.rows.sum())

    def gain(self, new: int, old: int, start: int, end: int) -> float | None:
        """Give how much smaller one training's mean loss is than another's in the steps from start to end."""
        rows = self.rows[start:end].sum()
        if not rows:
            return None
        return float((self.sums[old, start:end].sum() - self.sums[new, start:end].sum()) / rows)

    def best(self, most: int) -> Array:
        """Give the smallest mean loss that 0, 1, … ``most`` trainings beside the first could have had.

        Exact, by dynamic programming over the moment of the last training: with every training allowed to take over,
        a choice of moments is a path, and a path's loss is the sum over its pieces.
        """
        pieces = self._pieces()
        steps = pieces.shape[1] - 1
        ending = pieces[0].copy()
        found = [ending[steps]]
        for _ in range(most):
            ending = np.minimum(ending, (ending[:-1, None] + pieces).min(axis=0))
            found.append(ending[steps])
        smallest: Array = np.array(found) / self.rows.sum()
        return smallest

    def _pieces(self) -> Array:
        """Give the loss of training i over the steps from its own on, up to step j: [i, j], infinite where j < i."""
        trainings, steps = self.sums.shape
        pieces = np.full((trainings, steps + 1), np.inf)
        for place in range(trainings):
            own = self.sums[place, place:]
            if np.isfinite(own).all():
                pieces[place, place:] = np.concatenate([[0.0], np.cumsum(own)])
        return pieces


def losses_of(history: History, trainings: Trainings) -> Losses:
    """Add up what each training lost in each step after it."""
    steps = history.grid.steps
    by_step = [history.step_rows(step) for step in range(1, steps + 1)]
    sums = np.full((steps, steps), np.nan)
    for place in range(steps):
        training = trainings[place]
        if training.answers is None:
            continue
        for step in range(place, steps):
            rows = by_step[step]
            sums[place, step] = history.losses(rows, training.at(rows).predicted).sum()
    return Losses(sums, np.array([len(rows) for rows in by_step]))


def evenly(count: int, steps: int) -> tuple[int, ...]:
    """Place so many trainings at even distances between the first moment and the last step."""
    return tuple(sorted({round(number * steps / (count + 1)) for number in range(1, count + 1)} - {0, steps}))
