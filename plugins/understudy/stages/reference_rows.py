"""The champion's reference window, and the rows of it that its training did not see."""

from __future__ import annotations

from datetime import timezone

import numpy as np
import polars as pl

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.live_rows import UTC_TIME
from understudy.stages.model.scorer import ModelFacts
from understudy.stages.row_hash import row_places
from understudy.stages.sample import take_sample


def unseen_rows(reference: pl.LazyFrame, facts: ModelFacts, spec: ModelSpec, limit: int) -> pl.DataFrame:
    """Take evenly up to ``limit`` rows of the reference that the model was not trained on: those it was blessed on.

    Dated rows are told by the model's record of its newest training row and the embargo, undated ones by their place;
    none where the record says neither.

    :param reference: with times in UTC.
    """
    if spec.data.time and facts.train_end is not None:
        end = facts.train_end.replace(tzinfo=facts.train_end.tzinfo or timezone.utc) + spec.split.embargo
        later = reference.filter(pl.col(spec.data.time) > pl.lit(end.astimezone(timezone.utc)).cast(UTC_TIME))
        count = int(later.select(pl.len()).collect(engine="streaming").item())
        return take_sample(later, count, seed=0, limit=limit)
    if facts.holdout_below is None:
        return reference.head(0).collect()
    count = int(reference.select(pl.len()).collect(engine="streaming").item())
    rows = take_sample(reference, count, seed=0, limit=limit)
    return rows.filter(pl.Series(np.asarray(row_places(rows.to_pandas(), spec.data) < facts.holdout_below)))
