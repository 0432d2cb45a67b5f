"""How a column's values are made comparable: what is a number, where its tails are cut, which levels stand alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from understudy.contract.words import DistanceMethod
from understudy.stages.drift.distance import jensen_shannon, wasserstein
from understudy.stages.model.features import TRUE_FALSE
from understudy.stages.window import Array

TAILS = (0.001, 0.999)
FEW_VALUES = 5  # as for Evidently: a number with so few values is a code
MAX_LEVELS = 50
MIN_VALUES = 30  # with fewer, a distance is noise whatever it says
OTHER = "other"


@dataclass(frozen=True)
class Scale:
    """Hold what a reference sample says of a column.

    A number's values are cut one range beyond its reference's 0.1 and 99.9 % quantiles: a single 1e9 is far away and
    no further, so that it neither raises nor hides a movement, while a heat wave still stands out from summer. Levels
    beyond the 50 most frequent, and new ones, are one level. NaN and infinity are missing, as they are for the model.
    """

    column: str
    method: DistanceMethod
    is_text: bool = False
    low: float = -np.inf
    high: float = np.inf
    levels: tuple[str, ...] = ()

    def read(self, schema: pl.Schema) -> pl.Expr:
        """Read the column of a table: numbers or texts, as the reference's."""
        if self.method is DistanceMethod.WASSERSTEIN:
            return as_number(self.column, schema[self.column])
        return as_level(self.column, schema[self.column], is_text=self.is_text)

    def compared(self, schema: pl.Schema) -> pl.Expr:
        """Read the column as it is compared: tails cut, rare and new levels named as one."""
        read = self.read(schema)
        if self.method is DistanceMethod.WASSERSTEIN:
            return read.clip(self.low, self.high)
        return pl.when(read.is_in(self.levels) | read.is_null()).then(read).otherwise(pl.lit(OTHER)).alias(self.column)

    def values(self, sample: pl.DataFrame) -> Array:
        """Give what is there of the column: cut numbers, or the numbers of levels; missing values are left out."""
        known = self.all_values(sample)
        return known[np.isfinite(known)]

    def all_values(self, sample: pl.DataFrame) -> Array:
        """Give the column row by row, as :meth:`values` does, with NaN where a value is missing."""
        if self.method is DistanceMethod.WASSERSTEIN:
            column = sample.select(self.compared(sample.schema))[self.column]
        else:
            # A reference without a value knows no level: nothing is comparable.
            places: dict[str | None, float | None] = {level: float(place) for place, level in enumerate(self.levels)}
            default = float(len(places)) if places else None
            named = sample.select(self.read(sample.schema))[self.column].cast(pl.String)
            column = named.replace_strict({**places, None: None}, default=default, return_dtype=pl.Float64)
        numbered: Array = column.to_numpy()
        return numbered

    def distance(self, reference: Array, current: Array) -> float | None:
        """Measure how far two samples of this column lie apart; None with fewer than 30 values on either side."""
        if min(len(reference), len(current)) < MIN_VALUES:
            return None
        measured = wasserstein if self.method is DistanceMethod.WASSERSTEIN else jensen_shannon
        return measured(reference, current)


def scale_of(column: str, sample: pl.DataFrame, *, is_text: bool) -> Scale:
    """Learn a column's scale from a sample of the reference."""
    kind = sample.schema[column]
    if not is_text:
        known = sample.select(as_number(column, kind))[column].drop_nulls().to_numpy()
        if len(np.unique(known)) > FEW_VALUES:
            low, high = np.quantile(known, TAILS)
            if low == high:  # nearly constant: the few other values are all there is to see
                low, high = known.min(), known.max()
            span = high - low
            return Scale(column, DistanceMethod.WASSERSTEIN, low=float(low - span), high=float(high + span))
    levels = sample.select(as_level(column, kind, is_text=is_text).alias("level")).drop_nulls()["level"].value_counts()
    frequent = levels.sort(["count", "level"], descending=[True, False]).head(MAX_LEVELS)["level"]
    return Scale(column, DistanceMethod.JENSEN_SHANNON, is_text=is_text, levels=tuple(frequent))


def as_number(column: str, kind: pl.DataType) -> pl.Expr:
    """Read a column as the model does: true and false are 1 and 0, what is no finite number is missing."""
    value = pl.col(column)
    if kind in (pl.Categorical, pl.Enum, pl.String):
        text = value.cast(pl.String)
        plain = text.str.strip_chars().str.to_lowercase()
        value = plain.replace_strict(TRUE_FALSE, default=text.cast(pl.Float64, strict=False), return_dtype=pl.Float64)
    elif kind.is_numeric() or kind == pl.Boolean:
        value = value.cast(pl.Float64)
    else:
        return pl.lit(None, dtype=pl.Float64).alias(column)
    return pl.when(value.is_finite()).then(value).alias(column)


def as_level(column: str, kind: pl.DataType, *, is_text: bool) -> pl.Expr:
    """Read a column's levels as text; of a column of texts, 1 and 1.0 are one level."""
    if not is_text:
        return as_number(column, kind).cast(pl.String).alias(column)
    value = pl.col(column)
    if kind.is_float():
        whole = value.cast(pl.Int64, strict=False).cast(pl.String)
        return pl.when(value % 1 == 0).then(whole).when(value.is_not_nan()).then(value.cast(pl.String)).alias(column)
    return value.cast(pl.String, strict=False)
