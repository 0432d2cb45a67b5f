"""Metrics that are functions of sums over rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from understudy.contract.words import MlTask
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import Blocks
from understudy.stages.window import Array

SMALLEST = 1e-15  # a probability of zero for what happened costs 34.5 nats, not infinity


@dataclass(frozen=True)
class SumMetric:
    """Sum rows to one line a block (None where the answers lack what is needed); finish sums of lines."""

    of_blocks: Callable[[Answers, Blocks], Array | None]
    finish: Callable[[Array], Array]


def _sums(*columns: Array, blocks: Blocks) -> Array:
    """Add up columns within each block; the first line entry is the number of rows."""
    totals = [np.bincount(blocks.ids, minlength=blocks.count)]
    totals += [np.bincount(blocks.ids, weights=column, minlength=blocks.count) for column in columns]
    return np.stack(totals, axis=1).astype(np.float64)


def _mean(sums: Array) -> Array:
    mean: Array = sums[..., 1] / sums[..., 0]
    return mean


def _rows(of_row: Callable[[Answers], Array | None]) -> Callable[[Answers, Blocks], Array | None]:
    def of_blocks(answers: Answers, blocks: Blocks) -> Array | None:
        column = of_row(answers)
        return None if column is None else _sums(column, blocks=blocks)

    return of_blocks


def _log_loss(answers: Answers) -> Array | None:
    if answers.scores is None:
        return None
    chosen = answers.scores[np.arange(len(answers)), answers.actual] / answers.scores.sum(axis=1)
    losses: Array = -np.log(np.clip(chosen, SMALLEST, 1))
    return losses


def _brier(answers: Answers) -> Array | None:
    scores = answers.positive_score
    return None if scores is None else (scores - (answers.actual == 1)) ** 2


def _r2_sums(answers: Answers, blocks: Blocks) -> Array:
    # Deviations from one fixed centre keep the subtraction below exact where values are large and vary little.
    centred = answers.actual - np.mean(answers.actual) if len(answers) else answers.actual
    return _sums((answers.predicted - answers.actual) ** 2, centred, centred**2, blocks=blocks)


def _r2(sums: Array) -> Array:
    spread = sums[..., 3] - sums[..., 2] ** 2 / sums[..., 0]
    return np.where(spread > 1e-12 * np.maximum(sums[..., 3], 1e-300), 1 - sums[..., 1] / spread, np.nan)


def _confusion(answers: Answers, blocks: Blocks) -> Array:
    """Count [block, truth, answer]; the last answer is one that no class has."""
    # The number of classes tells _of_classes whose metric is meant: of the positive class, or the mean over all.
    k = 2 if answers.task is MlTask.BINARY else max(len(answers.classes), 3)
    cells = (blocks.ids * k + answers.actual) * (k + 1) + np.minimum(answers.predicted, k)
    counts: Array = np.bincount(cells, minlength=blocks.count * k * (k + 1)).reshape(blocks.count, k, k + 1)
    return counts.astype(np.float64)


def _by_class(counts: Array) -> tuple[Array, Array, Array]:
    hits = np.diagonal(counts[..., :-1], axis1=-2, axis2=-1)
    return hits, counts.sum(axis=-1), counts.sum(axis=-2)[..., :-1]


def _balanced_accuracy(counts: Array) -> Array:
    hits, actual, _ = _by_class(counts)
    present = actual > 0
    recalls = np.where(present, hits / np.where(present, actual, 1), 0)
    balanced: Array = recalls.sum(axis=-1) / present.sum(axis=-1)
    return balanced


def _of_classes(of_class: Callable[[Array, Array, Array], Array]) -> Callable[[Array], Array]:
    def finish(counts: Array) -> Array:
        hits, actual, predicted = _by_class(counts)
        each = of_class(hits, actual, predicted)
        if counts.shape[-2] == 2:  # two classes: the metric of the positive one
            positive: Array = each[..., 1]
            return positive
        seen = (actual + predicted) > 0  # as scikit-learn: a class that neither occurs nor is answered does not count
        macro: Array = np.where(seen, each, 0).sum(axis=-1) / seen.sum(axis=-1)
        return macro

    return finish


def _share(hits: Array, of: Array) -> Array:
    return np.where(of > 0, hits / np.where(of > 0, of, 1), 0.0)


SUMS: dict[str, SumMetric] = {
    "accuracy": SumMetric(_rows(lambda a: (a.actual == a.predicted).astype(np.float64)), _mean),
    "log_loss": SumMetric(_rows(_log_loss), _mean),
    "brier": SumMetric(_rows(_brier), _mean),
    "mae": SumMetric(_rows(lambda a: np.abs(a.predicted - a.actual)), _mean),
    "rmse": SumMetric(_rows(lambda a: (a.predicted - a.actual) ** 2), lambda sums: np.sqrt(_mean(sums))),
    "r2": SumMetric(_r2_sums, _r2),
    "value": SumMetric(_rows(lambda a: a.values), _mean),
    "balanced_accuracy": SumMetric(_confusion, _balanced_accuracy),
    "f1": SumMetric(_confusion, _of_classes(lambda hits, actual, predicted: _share(2 * hits, actual + predicted))),
    "precision": SumMetric(_confusion, _of_classes(lambda hits, _, predicted: _share(hits, predicted))),
    "recall": SumMetric(_confusion, _of_classes(lambda hits, actual, _: _share(hits, actual))),
}
