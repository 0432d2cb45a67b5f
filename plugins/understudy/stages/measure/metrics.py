"""The arithmetic of the quality metrics, once over all rows and once without each block.

Most metrics are functions of sums, or of how many rows of each class have each score; leaving a block out is then a
subtraction. NaN means "cannot be said", for example the area under the ROC curve where all rows have one class.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.metrics import quality_metrics
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import Blocks
from understudy.stages.measure.curve_metrics import CURVES, curve_with_and_without
from understudy.stages.measure.sum_metrics import SUMS
from understudy.stages.window import Array

CALIBRATION_BINS = 10


def _calibration_error(answers: Answers) -> float:
    """Average the gap of probability and frequency over ten bins of equal count (Nixon et al. 2019)."""
    scores = answers.positive_score
    if scores is None or len(answers) < CALIBRATION_BINS:
        return float("nan")
    order = np.argsort(scores, kind="stable")
    gap = (scores - (answers.actual == 1))[order]
    ends = np.linspace(0, len(gap), CALIBRATION_BINS + 1).astype(int)
    return float(np.abs(np.add.reduceat(gap, ends[:-1])).sum() / len(gap))


def _median_ae(answers: Answers) -> float:
    return float(np.median(np.abs(answers.predicted - answers.actual))) if len(answers) else float("nan")


RECOMPUTED: dict[str, Callable[[Answers], float]] = {"calibration_error": _calibration_error, "median_ae": _median_ae}


def measure(metric: str, answers: Answers) -> float | None:
    """Compute one metric; None where it cannot be said."""
    everything, _ = with_and_without(
        metric, answers, Blocks(np.zeros(len(answers), dtype=np.int64), 1), leave_out=False
    )
    return finite(everything)


def finite(value: float) -> float | None:
    """Turn NaN and infinity into None."""
    return float(value) if np.isfinite(value) else None


def with_and_without(metric: str, answers: Answers, blocks: Blocks, *, leave_out: bool = True) -> tuple[float, Array]:
    """Compute one metric over all rows, and once without each block."""
    if metric in SUMS:
        of_blocks = SUMS[metric].of_blocks(answers, blocks)
        if of_blocks is None:
            return float("nan"), np.full(blocks.count, np.nan)
        total = of_blocks.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            finish = SUMS[metric].finish
            return float(finish(total)), finish(total - of_blocks) if leave_out else np.array([])
    if metric in CURVES:
        return curve_with_and_without(CURVES[metric], answers, blocks, leave_out=leave_out)
    function = RECOMPUTED[metric]
    by_score = (
        answers.take(np.argsort(answers.positive_score, kind="stable"))
        if answers.positive_score is not None
        else answers
    )
    ids = blocks.ids if by_score is answers else blocks.ids[np.argsort(answers.positive_score, kind="stable")]  # type: ignore[arg-type]
    without = [function(by_score.take(ids != block)) for block in range(blocks.count)] if leave_out else []
    return function(by_score), np.array(without)


def measured_metrics(spec: ModelSpec) -> tuple[str, ...]:
    """Name every quality metric of the task, and ``value`` where the spec says what an answer is worth."""
    names = tuple(m.name for m in quality_metrics(spec.task))
    return (*names, "value") if spec.evaluate.value is not None else names
