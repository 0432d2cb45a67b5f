"""The encodings of stages/model/pipeline.py without their column names: typed rows in, the estimator's array out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.gateway.scoring.rows import Rows

if TYPE_CHECKING:
    from understudy.stages.model.features import Features

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Encode = Callable[[Rows], Array]

NEVER_SEEN = "\0a category that no training data hold"


def make_encode(encoding: Any, features: Features) -> Encode | None:
    """Take the column names out of a fitted encoding; None where it is not one that stages/model/pipeline.py builds."""
    from sklearn.compose import ColumnTransformer

    if type(encoding) is not ColumnTransformer or encoding.remainder != "drop":
        return None
    branches = {name: (branch, tuple(columns)) for name, branch, columns in encoding.transformers_}
    if set(branches) - {"remainder"} != {"texts", "numbers"}:
        return None
    (texts, text_names), (numbers, number_names) = branches["texts"], branches["numbers"]
    if (text_names, number_names) != (features.texts, features.numbers):
        return None
    encode_numbers = _numbers(numbers) if number_names else None
    encode_texts = _texts(texts, len(text_names)) if text_names else None
    if encode_texts is None or encode_numbers is None:
        only = encode_texts or encode_numbers
        return only if bool(text_names) != bool(number_names) else None
    return _beside(encode_texts, encode_numbers)


def _beside(left: Encode, right: Encode) -> Encode:
    return lambda rows: np.hstack([left(rows), right(rows)])


def _numbers(branch: Any) -> Encode | None:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    if branch == "passthrough" or (type(branch) is FunctionTransformer and branch.func is None):
        return lambda rows: rows.numbers
    if type(branch) is Pipeline and [name for name, _ in branch.steps] == ["impute", "scale"]:
        return _imputed_and_scaled(branch.named_steps["impute"], branch.named_steps["scale"])
    return None


def _imputed_and_scaled(imputer: Any, scaler: Any) -> Encode:
    """Do what the two do, by the same operations in the same order, without their checks of names and types."""
    fill, mean, scale = imputer.statistics_, scaler.mean_, scaler.scale_
    fill = np.where(np.isnan(fill), 0.0, fill)  # keep_empty_features: a column that was empty in training is 0
    flagged = imputer.indicator_.features_ if imputer.indicator_ is not None else np.empty(0, dtype=int)

    def encode(rows: Rows) -> Array:
        missing = np.isnan(rows.numbers)
        known = np.where(missing, fill, rows.numbers)
        whole = np.hstack([known, missing[:, flagged]]) if len(flagged) else known
        return np.asarray((whole - mean) / scale, dtype=np.float64)

    return encode


def _texts(encoder: Any, width: int) -> Encode | None:
    """Ask the encoder once for each category it knows, and look the answers up from then on."""
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if type(encoder) not in {OneHotEncoder, OrdinalEncoder}:
        return None
    known = [[cell for cell in column if isinstance(cell, str)] for column in encoder.categories_]
    tables = [_table(encoder, place, known) for place in range(width)]

    def encode(rows: Rows) -> Array:
        blocks = []
        for table, cells in zip(tables, rows.texts, strict=True):
            unknown, missing = table[NEVER_SEEN], table[None]
            blocks.append([table.get(cell, unknown) if isinstance(cell, str) else missing for cell in cells])
        return np.hstack([np.array(block) for block in blocks])

    return encode


def _table(encoder: Any, place: int, known: list[list[str]]) -> dict[str | None, Array]:
    """Map one column's categories to their codes; None stands for a missing one."""
    import pandas as pd

    names = list(encoder.feature_names_in_)
    # What the other columns hold is the same in each row, so what differs from the first row is this column's.
    cells = [NEVER_SEEN, np.nan, *known[place]]
    frame = pd.DataFrame({name: pd.Series([NEVER_SEEN] * len(cells), dtype=object) for name in names})
    frame[names[place]] = pd.Series(cells, dtype=object)
    start, end = _block(encoder, place)
    codes = np.asarray(encoder.transform(frame), dtype=np.float64)[:, start:end]
    return {NEVER_SEEN: codes[0], None: codes[1], **dict(zip(known[place], codes[2:], strict=True))}


def _block(encoder: Any, place: int) -> tuple[int, int]:
    """Say which columns of an encoder's output are one input column's."""
    widths = getattr(encoder, "_n_features_outs", None) or [1] * len(encoder.categories_)
    return sum(widths[:place]), sum(widths[: place + 1])
