"""Count the holdout rows that a model has seen, or could have seen, in training."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.model.scorer import ModelFacts
from understudy.stages.row_hash import row_places
from understudy.stages.window import Window


def leaked_rows(holdout: Window, spec: ModelSpec, models: list[tuple[ModelFacts, datetime | None]]) -> int:
    """Count the rows that lie not strictly after a model's last training row plus the embargo.

    Undated rows count by their place.

    :param models: each with the end of its training as the caller knows it; the model's own record stands in for it.
        Where neither is known every row counts, because nobody can say that it did not leak.
    """
    if holdout.times is None:
        borders = [facts.holdout_below for facts, _ in models]
        if any(border is None for border in borders):
            return len(holdout)
        return int((row_places(holdout.frame, spec.data) >= min(b for b in borders if b is not None)).sum())
    ends = [told or facts.train_end for facts, told in models]
    if any(end is None for end in ends):
        return len(holdout)
    latest = max(_utc(end) for end in ends if end is not None) + spec.split.embargo
    stamps = holdout.times.to_numpy(dtype="datetime64[us]")
    return int((stamps <= np.datetime64(latest.replace(tzinfo=None), "us")).sum())


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
