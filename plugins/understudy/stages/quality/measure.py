"""How well a champion answered, beside how well it answered the holdout that it was blessed on."""

from __future__ import annotations

from datetime import datetime

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.monitoring import QualityReport
from understudy.stages.quality.answered import Answered
from understudy.stages.quality.estimate import estimate_loss
from understudy.stages.window import Array


def measure_quality(
    live: Answered,
    holdout: Answered,
    spec: ModelSpec,
    *,
    rows: int,
    labelled_rows: int | None = None,
    scores: Array | None = None,
    newest_label: datetime | None = None,
) -> QualityReport:
    """Compare labelled live rows with the holdout by the primary metric and by the mean loss.

    :param live: the labelled rows of the window.
    :param rows: how many rows the champion answered, labelled or not.
    :param labelled_rows: how many have a label, where ``live`` is a sample of them.
    :param scores: the champion's probabilities for those rows, for the estimate without labels.
    """
    alpha, spread = spec.evaluate.alpha, holdout.spread
    metric, blessed = live.metric(spec.primary), holdout.metric(spec.primary)
    loss, blessed_loss = live.loss(spread), holdout.loss(spread)
    low, high = metric.interval(alpha)
    return QualityReport(
        metric=spec.primary,
        rows=rows,
        labelled_rows=len(live.answers) if labelled_rows is None else labelled_rows,
        blocks=live.blocks.count,
        value=metric.value,
        value_error=metric.error,
        low=low,
        high=high,
        blessed=blessed.value,
        blessed_error=blessed.error,
        blessed_blocks=holdout.blocks.count,
        loss=loss.value,
        loss_error=loss.error,
        blessed_loss=blessed_loss.value,
        blessed_loss_error=blessed_loss.error,
        estimate=estimate_loss(holdout.answers, scores),
        newest_label=newest_label,
    )
