"""Two models by one metric on the same rows, with the interval of the paired gain."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.contract.metrics import METRICS
from understudy.contract.reports import Comparison
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import Blocks
from understudy.stages.measure.jackknife import Uncertainty, uncertainty
from understudy.stages.measure.metrics import finite, with_and_without


@dataclass(frozen=True)
class Gain:
    """Hold a comparison and the uncertainty behind its interval."""

    comparison: Comparison
    uncertainty: Uncertainty | None


def compare(metric: str, challenger: Answers, other: Answers | None, blocks: Blocks, alpha: float) -> Gain:
    """Compare two models; without another one only the challenger's value is given, with its own interval."""
    ours, ours_without = with_and_without(metric, challenger, blocks)
    own = uncertainty(ours, ours_without, blocks.sizes)
    own_low, own_high = own.interval(ours, alpha) if own else (None, None)
    alone = Comparison(
        metric=metric,
        challenger=finite(ours),
        challenger_low=own_low,
        challenger_high=own_high,
        rows=len(challenger),
        blocks=blocks.count,
    )
    if other is None:
        return Gain(alone, None)
    theirs, theirs_without = with_and_without(metric, other, blocks)
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    gain = sign * (ours - theirs)
    spread = uncertainty(gain, sign * (ours_without - theirs_without), blocks.sizes)
    low, high = spread.interval(gain, alpha) if spread else (None, None)
    return Gain(
        alone.model_copy(update={"other": finite(theirs), "gain": finite(gain), "gain_low": low, "gain_high": high}),
        spread,
    )
