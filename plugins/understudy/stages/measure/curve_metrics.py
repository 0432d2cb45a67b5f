"""Areas under curves, from how many rows of each class have each score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from understudy.contract.words import MlTask
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import Blocks
from understudy.stages.window import Array

Area = Callable[[Array, Array], float]


def roc_area(positives: Array, negatives: Array) -> float:
    """Compute the area under the ROC curve from counts at ascending scores; ties count half (Mann and Whitney 1947)."""
    pairs = positives.sum() * negatives.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum() / pairs)


def precision_area(positives: Array, negatives: Array) -> float:
    """Compute average precision: the precision at each score, weighted by the recall gained there."""
    found = positives.sum()
    if found == 0 or negatives.sum() == 0:
        return float("nan")
    at_score, rest = positives[::-1], negatives[::-1]
    hits, answered = np.cumsum(at_score), np.cumsum(at_score + rest)
    precision = hits / np.where(answered > 0, answered, 1)
    return float((precision * at_score).sum() / found)


CURVES: dict[str, Area] = {"roc_auc": roc_area, "average_precision": precision_area}


def curve_with_and_without(area: Area, answers: Answers, blocks: Blocks, *, leave_out: bool) -> tuple[float, Array]:
    """Compute an area over all rows and without each block; several classes are averaged one against the rest."""
    if answers.scores is None:
        return float("nan"), np.full(blocks.count, np.nan)
    if answers.task is MlTask.BINARY:
        columns = [1]
    else:
        columns = [c for c in range(len(answers.classes)) if 0 < int((answers.actual == c).sum()) < len(answers)]
    results = [
        _one_class(area, answers.scores[:, c], answers.actual == c, blocks, leave_out=leave_out) for c in columns
    ]
    if not results:
        return float("nan"), np.full(blocks.count, np.nan)
    return float(np.mean([r[0] for r in results])), np.mean([r[1] for r in results], axis=0)


def _one_class(area: Area, scores: Array, positive: Array, blocks: Blocks, *, leave_out: bool) -> tuple[float, Array]:
    distinct, place = np.unique(scores, return_inverse=True)
    size = len(distinct)
    positives = np.bincount(place[positive], minlength=size)
    negatives = np.bincount(place[~positive], minlength=size)
    without = []
    order = np.argsort(blocks.ids, kind="stable")
    ends = np.searchsorted(blocks.ids[order], np.arange(blocks.count + 1))
    for block in range(blocks.count if leave_out else 0):
        rows = order[ends[block] : ends[block + 1]]
        here, is_positive = place[rows], positive[rows]
        without.append(
            area(
                positives - np.bincount(here[is_positive], minlength=size),
                negatives - np.bincount(here[~is_positive], minlength=size),
            )
        )
    return area(positives, negatives), np.array(without)
