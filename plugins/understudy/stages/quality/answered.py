"""Labelled rows that a champion has answered, cut into blocks of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.words import MlTask
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import Blocks, random_blocks, time_blocks
from understudy.stages.measure.jackknife import Uncertainty, uncertainty
from understudy.stages.measure.metrics import finite, with_and_without


@dataclass(frozen=True)
class Measured:
    """Hold a number and how sure it is; None where it cannot be said."""

    value: float | None
    uncertainty: Uncertainty | None

    @property
    def error(self) -> float | None:
        """Give the standard error over blocks."""
        return self.uncertainty.standard_error if self.uncertainty else None

    def interval(self, alpha: float) -> tuple[float | None, float | None]:
        """Give the interval whose ends are one-sided bounds at ``alpha``."""
        if self.value is None or self.uncertainty is None:
            return None, None
        low, high = self.uncertainty.interval(self.value, alpha)
        return low, high


@dataclass(frozen=True)
class Answered:
    """Hold answers beside the truth, and the block of each row."""

    answers: Answers
    blocks: Blocks
    times: pd.Series[Any] | None = None

    def metric(self, name: str) -> Measured:
        """Measure a metric over all rows, with a jackknife over the blocks."""
        everything, without = with_and_without(name, self.answers, self.blocks)
        if not np.isfinite(everything):
            return Measured(None, None)
        return Measured(finite(everything), uncertainty(everything, without, self.blocks.sizes))

    def loss(self, spread: float | None) -> Measured:
        """Measure the mean loss: the share of wrong answers, or the mean absolute error in ``spread``."""
        if self.answers.task.is_classification:
            right = self.metric("accuracy")
            return Measured(None if right.value is None else 1 - right.value, right.uncertainty)
        error = self.metric("mae")
        if error.value is None or not spread:
            return Measured(None, None)
        known = error.uncertainty
        scaled = Uncertainty(known.standard_error / spread, known.degrees) if known else None
        return Measured(error.value / spread, scaled)

    @property
    def spread(self) -> float | None:
        """Give the standard deviation of a regression's target; None where it does not vary."""
        if self.answers.task is not MlTask.REGRESSION or not len(self.answers):
            return None
        return finite(float(np.std(self.answers.actual))) or None


def answered(answers: Answers, times: pd.Series[Any] | None, spec: ModelSpec) -> Answered:
    """Cut answers into blocks of time, or deal them out where rows are undated."""
    if times is None or not len(answers):
        return Answered(answers, random_blocks(len(answers), spec.train.seed))
    return Answered(answers, time_blocks(times, spec.evaluate.block), times)
