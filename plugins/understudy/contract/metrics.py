"""The metrics that gates may name: direction and task, no arithmetic."""

from understudy.contract.declared import Fact
from understudy.contract.words import MlTask

ALL_CLASSES = frozenset({MlTask.BINARY, MlTask.MULTICLASS})
BINARY = frozenset({MlTask.BINARY})
REGRESSION = frozenset({MlTask.REGRESSION})
ALL = frozenset(MlTask)


class Metric(Fact):
    """Describe one metric.

    ``is_quality`` metrics are computed on holdout rows for both models and have a paired interval; the others are
    single measurements of the challenger (size, latency, delta). ``of_scores`` ones look at probabilities alone.
    """

    name: str
    tasks: frozenset[MlTask]
    greater_is_better: bool
    is_quality: bool = True
    of_scores: bool = False
    lowest: float | None = None
    """No value can be lower; None where there is no such bound."""
    highest: float | None = None
    """No value can be higher; None where there is no such bound."""
    is_above_lowest: bool = False
    """Whether ``lowest`` itself cannot be reached either: no model takes no time, or no space."""
    needs_contrast: bool = False
    """Whether it says nothing of rows that all have the same label, with several classes or numbers to tell apart."""
    meaning: str

    @property
    def range_words(self) -> str:
        """Say which values it can have."""
        if self.lowest is not None and self.highest is not None:
            return f"{self.lowest:g} to {self.highest:g}"
        if self.lowest is not None:
            return f"{'more than' if self.is_above_lowest else 'at least'} {self.lowest:g}"
        return "any number" if self.highest is None else f"at most {self.highest:g}"


_METRICS = (
    Metric(
        name="roc_auc",
        tasks=ALL_CLASSES,
        lowest=0,
        highest=1,
        greater_is_better=True,
        of_scores=True,
        needs_contrast=True,
        meaning="area under the ROC curve; one-vs-rest, macro-averaged, for several classes",
    ),
    Metric(
        name="average_precision",
        tasks=BINARY,
        lowest=0,
        highest=1,
        greater_is_better=True,
        of_scores=True,
        meaning="area under the precision-recall curve",
    ),
    Metric(
        name="accuracy",
        tasks=ALL_CLASSES,
        lowest=0,
        highest=1,
        greater_is_better=True,
        meaning="share of right answers",
    ),
    Metric(
        name="balanced_accuracy",
        tasks=ALL_CLASSES,
        lowest=0,
        highest=1,
        greater_is_better=True,
        meaning="mean recall over the classes",
    ),
    Metric(
        name="f1",
        tasks=ALL_CLASSES,
        lowest=0,
        highest=1,
        greater_is_better=True,
        meaning="F1; macro-averaged for several classes",
    ),
    Metric(
        name="precision",
        tasks=ALL_CLASSES,
        lowest=0,
        highest=1,
        greater_is_better=True,
        meaning="precision; macro-averaged for several classes",
    ),
    Metric(
        name="recall",
        tasks=ALL_CLASSES,
        lowest=0,
        highest=1,
        greater_is_better=True,
        meaning="recall; macro-averaged for several classes",
    ),
    Metric(
        name="log_loss",
        tasks=ALL_CLASSES,
        lowest=0,
        greater_is_better=False,
        of_scores=True,
        meaning="mean negative log likelihood",
    ),
    Metric(
        name="brier",
        tasks=BINARY,
        lowest=0,
        highest=1,
        greater_is_better=False,
        of_scores=True,
        meaning="mean squared error of the probability",
    ),
    Metric(
        name="calibration_error",
        tasks=BINARY,
        lowest=0,
        highest=1,
        greater_is_better=False,
        of_scores=True,
        meaning="expected calibration error over ten equal-count bins",
    ),
    Metric(name="mae", tasks=REGRESSION, lowest=0, greater_is_better=False, meaning="mean absolute error"),
    Metric(name="rmse", tasks=REGRESSION, lowest=0, greater_is_better=False, meaning="root mean squared error"),
    Metric(name="median_ae", tasks=REGRESSION, lowest=0, greater_is_better=False, meaning="median absolute error"),
    Metric(
        name="r2",
        tasks=REGRESSION,
        highest=1,
        greater_is_better=True,
        needs_contrast=True,
        meaning="share of variance explained",
    ),
    Metric(name="value", tasks=ALL, greater_is_better=True, meaning="business value per row, from evaluate.value"),
    Metric(
        name="parity_gap",
        tasks=ALL_CLASSES,
        lowest=0,
        highest=1,
        greater_is_better=False,
        is_quality=False,
        meaning="largest difference of selection rate between groups of evaluate.fairness",
    ),
    Metric(
        name="latency_p95_ms",
        tasks=ALL,
        lowest=0,
        is_above_lowest=True,
        greater_is_better=False,
        is_quality=False,
        meaning="95th percentile of the time to predict one row, in milliseconds",
    ),
    Metric(
        name="size_mb",
        tasks=ALL,
        lowest=0,
        is_above_lowest=True,
        greater_is_better=False,
        is_quality=False,
        meaning="size of the model's files",
    ),
    Metric(
        name="churn_share",
        tasks=ALL,
        lowest=0,
        highest=1,
        greater_is_better=False,
        is_quality=False,
        meaning="share of rows answered differently from the champion",
    ),
    Metric(
        name="negative_flip_share",
        tasks=ALL_CLASSES,
        lowest=0,
        highest=1,
        greater_is_better=False,
        is_quality=False,
        meaning="share of rows where the champion was right and the challenger is wrong",
    ),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}

DEFAULT_PRIMARY = {MlTask.BINARY: "roc_auc", MlTask.MULTICLASS: "balanced_accuracy", MlTask.REGRESSION: "mae"}


def quality_metrics(task: MlTask) -> tuple[Metric, ...]:
    """List the metrics that every evaluation of this task computes, ``value`` apart."""
    return tuple(m for m in _METRICS if m.is_quality and task in m.tasks and m.name != "value")
