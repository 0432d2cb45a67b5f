"""A team's own ``prepare`` function: the same code over the same columns in training and in serving."""

import math
from collections.abc import Callable

import pandas as pd

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.context import Refused
from understudy.stages.model.features import excluded_columns

Prepare = Callable[[pd.DataFrame], pd.DataFrame]
ROWS_TRIED_ALONE = 3


def input_columns(frame: pd.DataFrame, spec: ModelSpec) -> tuple[str, ...]:
    """Name the columns that a caller of the model has to send; ``prepare`` also gets the time."""
    excluded = excluded_columns(spec)
    if spec.data.prepare and spec.data.time:
        excluded -= {spec.data.time}
    return tuple(str(c) for c in frame.columns if str(c) not in excluded)


def apply_prepare(prepare: Prepare | None, frame: pd.DataFrame, inputs: tuple[str, ...]) -> pd.DataFrame:
    """Select the inputs and hand a copy of them to ``prepare``.

    :raises Refused: where the function does not return one row for each row.
    """
    selected = frame[[c for c in inputs if c in frame.columns]]
    if prepare is None:
        return selected
    prepared = prepare(selected.copy())
    if not isinstance(prepared, pd.DataFrame) or len(prepared) != len(frame):
        what = f"{len(prepared):,} rows" if isinstance(prepared, pd.DataFrame) else f"a {type(prepared).__name__}"
        raise Refused(
            f"data.prepare got {len(frame):,} rows and returned {what}; it must return a pandas frame with one "
            "row for each row, because serving answers every row",
            "data.prepare",
        )
    return prepared.set_axis(frame.index)


def require_rowwise(prepare: Prepare, frame: pd.DataFrame, inputs: tuple[str, ...]) -> None:
    """Refuse a ``prepare`` that answers differently for a row alone than among others: serving sees single rows."""
    together = apply_prepare(prepare, frame, inputs)
    for position in range(min(ROWS_TRIED_ALONE, len(frame))):
        alone = apply_prepare(prepare, frame.iloc[[position]], inputs)
        for column in together.columns:
            expected = together[column].iloc[position]
            found = alone[column].iloc[0] if column in alone.columns else None
            if not _same(expected, found):
                raise Refused(
                    f"data.prepare gives {column!r} = {expected!r} for a row among others and {found!r} for the same "
                    "row alone, so training and serving would differ; compute it from the row only",
                    "data.prepare",
                )


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    return one == other or (one is pd.NaT and other is pd.NaT) or (one is pd.NA and other is pd.NA)
