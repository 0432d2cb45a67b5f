"""Gates ask questions about a model, checks ask questions about data; both are declared here."""

import math

from pydantic import Field, model_validator

from understudy.contract.declared import Declared
from understudy.contract.metrics import METRICS, Metric
from understudy.contract.suggest import nearest


class Gate(Declared):
    """Ask one question about the challenger.

    ``floor`` and ``ceiling`` bound the measured value itself. Against the champion a quality metric is always judged,
    on the same rows and by the interval of the paired difference:

    * with ``min_gain`` (superiority) the whole interval must lie above it; a tie therefore fails;
    * without (refresh) the whole interval must lie above ``-margin`` × the champion's value; a tie therefore passes,
      because equal quality from newer data is what a scheduled retraining is for.
    """

    metric: str
    """A metric of the task, for example roc_auc, mae, latency_p95_ms, size_mb, negative_flip_share."""
    floor: float | None = None
    """The lowest acceptable value of the challenger."""
    ceiling: float | None = None
    """The highest acceptable value of the challenger."""
    min_gain: float | None = Field(default=None, ge=0)
    """How much better than the champion the challenger must provably be, in units of the metric."""
    margin: float = Field(default=0.01, ge=0, le=0.5)
    """Without min_gain: the share of the champion's value that the challenger may at most lose."""
    min_rows: int = Field(default=200, ge=1)
    """Fewer holdout rows than this decide nothing."""

    @model_validator(mode="after")
    def _name_a_metric_and_a_possible_bound(self) -> "Gate":
        metric = METRICS.get(self.metric)
        if metric is None:
            raise ValueError(f"metric {self.metric!r} is unknown{nearest(self.metric, METRICS)}")
        if self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            raise ValueError(f"floor {self.floor} lies above ceiling {self.ceiling}, so no model could pass")
        if not metric.is_quality and self.min_gain is not None:
            raise ValueError(f"min_gain does not apply to {self.metric}, which is not compared row by row; use ceiling")
        if not metric.is_quality and self.floor is None and self.ceiling is None:
            raise ValueError(f"{self.metric} needs a ceiling (or a floor); without one the gate asks nothing")
        self._refuse_bounds_outside_the_range(metric)
        return self

    def _refuse_bounds_outside_the_range(self, metric: Metric) -> None:
        """Refuse what no value can pass, and what every value passes."""
        lowest = -math.inf if metric.lowest is None else metric.lowest
        highest = math.inf if metric.highest is None else metric.highest
        if self.floor is not None:
            _require_possible(
                metric,
                f"floor {self.floor:g}",
                all_pass=self.floor <= lowest,
                none_passes=self.floor > highest,
                is_best=self.floor == highest,
            )
        if self.ceiling is not None:
            _require_possible(
                metric,
                f"ceiling {self.ceiling:g}",
                all_pass=self.ceiling >= highest,
                none_passes=self.ceiling < lowest or (self.ceiling == lowest and metric.is_above_lowest),
                is_best=self.ceiling == lowest,
            )
        if self.min_gain is not None and self.min_gain >= highest - lowest:
            raise ValueError(f"min_gain {self.min_gain:g} can never be passed: {metric.name} is {metric.range_words}")


def _require_possible(metric: Metric, bound: str, *, all_pass: bool, none_passes: bool, is_best: bool) -> None:
    if all_pass:
        raise ValueError(f"{bound} asks nothing: {metric.name} is {metric.range_words}; ask for more, or remove it")
    if none_passes:
        raise ValueError(f"{bound} can never be passed: {metric.name} is {metric.range_words}; ask for less")
    if is_best and metric.is_quality:
        raise ValueError(f"{bound} could be passed by a perfect model only; ask for less")
