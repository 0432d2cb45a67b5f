"""Which columns a model learns from, and the typed frame in which every model gets them, in training and in serving."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.suggest import nearest
from understudy.stages.context import Refused

log = logging.getLogger(__name__)
TRUE_FALSE = {"true": 1.0, "false": 0.0}


class FeatureMissing(UnderstudyError):
    """Rows to score lack a column that the model learned from."""

    def __init__(self, feature: str, known: Sequence[str]) -> None:
        self.feature = feature
        super().__init__(
            f"The rows lack the feature {feature!r}{nearest(feature, known)}; send every feature, empty where unknown"
        )


class Features(Fact):
    """Name the columns that a model learns from, in order; ``texts`` are those of them that hold categories."""

    names: tuple[str, ...]
    texts: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """Name the numeric ones."""
        texts = set(self.texts)
        return tuple(name for name in self.names if name not in texts)

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Select and type the features: numbers as float64 (infinite is missing), categories as text.

        :raises FeatureMissing: where a column is absent; an absent column is never taken for missing values.
        """
        known = set(map(str, frame.columns))
        for name in self.names:
            if name not in known:
                raise FeatureMissing(name, sorted(known))
        numbers = list(self.numbers)
        # Serving comes by here with each frame of few rows, so no column is looked at without need.
        kinds = dict(zip(frame.columns, frame.dtypes, strict=True))
        odd = {name: _number(frame[name]) for name in numbers if not pd.api.types.is_numeric_dtype(kinds[name])}
        chosen = frame[numbers].assign(**odd) if odd else frame[numbers]
        values = chosen.to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.where(np.isfinite(values), values, np.nan)
        typed = pd.DataFrame(values, columns=numbers, index=frame.index)
        texts = pd.DataFrame({name: _text(frame[name]) for name in self.texts}, index=frame.index)
        return pd.concat([typed, texts], axis=1)[list(self.names)] if self.texts else typed


def _number(column: pd.Series[Any]) -> pd.Series[Any]:
    read = column.map(lambda v: TRUE_FALSE.get(v.strip().lower(), v) if isinstance(v, str) else v)
    return pd.to_numeric(read, errors="coerce").astype("float64")


def _text(column: pd.Series[Any]) -> pd.Series[Any]:
    missing = column.isna()
    return column.astype("object").map(str).astype("object").mask(missing, np.nan)


def excluded_columns(spec: ModelSpec) -> frozenset[str]:
    """Name the columns that never become features."""
    data = spec.data
    named = {data.target, *data.key, *data.drop, *data.classes.pii, *data.classes.sensitive, *data.classes.forbidden}
    return frozenset(named | ({data.time} if data.time else set()))


def choose_features(frame: pd.DataFrame, spec: ModelSpec) -> Features:
    """Choose the features from rows that training may see, and say in the log what was left out and why.

    :raises Refused: where no column is left.
    """
    excluded = excluded_columns(spec)
    names, texts = [], []
    for name in (str(c) for c in frame.columns if str(c) not in excluded):
        reason = _useless(frame[name])
        if reason:
            log.warning("column %r is not used: %s", name, reason)
            continue
        names.append(name)
        if not pd.api.types.is_numeric_dtype(frame[name]) and not _is_boolean(frame[name]):
            texts.append(name)
    if not names:
        raise Refused(
            "No column is left to learn from; data.drop, data.key and data.classes exclude too much, or all "
            "other columns are empty",
            "data.drop",
        )
    return Features(names=tuple(names), texts=tuple(texts))


def _is_boolean(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_bool_dtype(column) or bool(column.dropna().map(lambda v: isinstance(v, bool)).all())


def _useless(column: pd.Series[Any]) -> str:
    if column.isna().all():
        return "it is empty"
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        return "it holds times; derive numbers from it in data.prepare where they help"
    if pd.api.types.is_numeric_dtype(column):
        return ""
    known = column.dropna()
    if not known.map(lambda value: np.isscalar(value) and not isinstance(value, bytes)).all():
        return "it holds lists, records, clock times or bytes; make numbers or texts of them in data.prepare"
    distinct = known.astype(str).nunique()
    if distinct > 50 and distinct > len(known) / 2:
        return f"it has {distinct:,} different values in {len(known):,} rows, so it looks like an id or free text"
    return ""
