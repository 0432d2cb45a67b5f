"""Parts of the holdout: whether the challenger became worse for any of them, and whether it treats them alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import SliceComparison
from understudy.contract.suggest import nearest
from understudy.contract.words import MlTask
from understudy.stages.context import Refused
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import Blocks
from understudy.stages.measure.compare import compare
from understudy.stages.window import Array

MAX_VALUES = 20
FEW_NUMBERS = 8


def slices_of(frame: pd.DataFrame, column: str, field: str) -> Iterator[tuple[str, Array]]:
    """Yield the slices of one column: its most frequent values, or the quartiles of a number.

    :raises Refused: where the column does not exist.
    """
    if column not in frame.columns:
        raise Refused(
            f"{field} names {column!r}, which the data do not have{nearest(column, map(str, frame.columns))}", field
        )
    values = frame[column]
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if is_number and values.nunique() > FEW_NUMBERS:
        yield from _quartiles(values)
    else:
        texts = values.astype("object").map(str)
        for value in sorted(texts[values.notna()].value_counts().index[:MAX_VALUES]):
            yield str(value), (values.notna() & (texts == value)).to_numpy()
    if values.isna().any():
        yield "missing", values.isna().to_numpy()


def _quartiles(values: pd.Series[Any]) -> Iterator[tuple[str, Array]]:
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    edges = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    for place, (low, high) in enumerate(pairwise(edges.tolist())):
        inside = (numbers >= low if place == 0 else numbers > low) & (numbers <= high)
        yield f"{'[' if place == 0 else '('}{low:.6g}, {high:.6g}]", inside


def compare_slices(
    frame: pd.DataFrame, challenger: Answers, champion: Answers, blocks: Blocks, spec: ModelSpec
) -> tuple[SliceComparison, ...]:
    """Compare both models within each declared slice by the primary metric.

    ``p_harm`` tests against a loss of the first gate's margin: a tiny loss that many rows make certain is no harm.
    """
    found = []
    for column in spec.evaluate.slices:
        for value, rows in slices_of(frame, column, "evaluate.slices"):
            gain = compare(
                spec.primary, challenger.take(rows), champion.take(rows), blocks.take(rows), spec.evaluate.alpha
            )
            comparison = gain.comparison
            p_harm = None
            if gain.uncertainty is not None and comparison.gain is not None and comparison.other is not None:
                p_harm = gain.uncertainty.p_below(comparison.gain, -spec.gates[0].margin * abs(comparison.other))
            # A metric that neither model can have here (one class only) asks nothing; that one lacks it is a doubt.
            exists = comparison.challenger is not None or comparison.other is not None
            found.append(
                SliceComparison(
                    column=column,
                    value=value,
                    judged=exists and comparison.rows >= spec.evaluate.min_slice_rows,
                    p_harm=p_harm,
                    comparison=comparison,
                )
            )
    return tuple(found)


def parity_gap(frame: pd.DataFrame, answers: Answers, spec: ModelSpec) -> float | None:
    """Measure the largest difference of selection rate between two groups of one fairness column (demographic parity).

    The selection rate is the share of rows answered with the positive class, or with each class in turn where there
    are several. Groups too small to judge are left out; None where no column has two groups left.
    """
    if not spec.task.is_classification:
        return None
    selected = [answers.predicted == c for c in ([1] if answers.task is MlTask.BINARY else range(len(answers.classes)))]
    gaps = []
    for column in spec.evaluate.fairness:
        groups = [
            rows
            for _, rows in slices_of(frame, column, "evaluate.fairness")
            if rows.sum() >= spec.evaluate.min_slice_rows
        ]
        if len(groups) < 2:
            return None
        for chosen in selected:
            rates = [float(chosen[rows].mean()) for rows in groups]
            gaps.append(max(rates) - min(rates))
    return max(gaps, default=None)
