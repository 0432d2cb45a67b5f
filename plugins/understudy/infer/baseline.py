"""A quick, honest guess of what a model can reach on this data, and whether a simple one is enough."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from understudy.contract.estimators import Estimator, estimators_for
from understudy.contract.metrics import DEFAULT_PRIMARY, METRICS
from understudy.contract.words import MlTask
from understudy.infer.matrix import evenly
from understudy.stages.column_kind import NUMERIC, kind_of

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

SAMPLE_ROWS = 12_000
TRAINED_SHARE = 0.8
WORTH_IT = 1.02  # boosting must lead a guess by this much more than the linear model does, to be worth its complexity
TOO_GOOD = {"roc_auc": 0.995, "balanced_accuracy": 0.995}
QUICK: dict[str, dict[str, JsonValue]] = {
    "hist_gradient_boosting": {"max_iter": 40, "early_stopping": False},
    "logistic_regression": {"max_iter": 100},
}
BOOSTING = "hist_gradient_boosting"


@dataclass(frozen=True)
class Baseline:
    """Hold the scores of a guess that ignores the features, of a linear model and of a small boosted one."""

    metric: str
    dummy: float
    linear: float
    boosted: float

    @property
    def is_simple_enough(self) -> bool:
        """Whether the linear model does about as well as the boosted one."""
        return self._lead(self.linear) > 0 and self._lead(self.boosted) < WORTH_IT * self._lead(self.linear)

    @property
    def small(self) -> float:
        """The score of the one that was chosen."""
        return self.linear if self.is_simple_enough else self.boosted

    @property
    def bound(self) -> float:
        """Halfway between guessing and the chosen one, with room for worse times; three significant digits."""
        reached = self.small if self.learns else self.dummy
        return float(f"{(self.dummy + reached) / 2:.3g}")

    @property
    def learns(self) -> bool:
        """Whether the features helped at all."""
        return self._lead(self.small) > 0

    def _lead(self, score: float) -> float:
        return score - self.dummy if METRICS[self.metric].greater_is_better else self.dummy - score


def linear_name(task: MlTask) -> str:
    """Name the linear estimator of a task."""
    return "logistic_regression" if task.is_classification else "ridge"


def measure_baseline(
    table: "pl.DataFrame", target: str, features: list[str], task: MlTask, *, is_dated: bool
) -> Baseline | None:
    """Train on the older four fifths of a sample and test on the newest; shuffle it first where nothing dates the rows.

    The models are those that the train stage would build. None where the tested part lacks classes or features are
    absent, so that nothing can be measured.
    """
    import polars as pl

    rows = evenly(table.filter(table[target].is_not_null()), SAMPLE_ROWS)
    if not is_dated:
        rows = rows.sample(fraction=1.0, shuffle=True, seed=0)
    cut = int(rows.height * TRAINED_SHARE)
    answers = rows[target].cast(pl.Float64 if task is MlTask.REGRESSION else pl.String).to_numpy()
    if not features or not _is_measurable(answers[:cut], answers[cut:], task):
        return None
    frame = rows.select(features).to_pandas()
    texts = tuple(name for name in features if kind_of(rows[name].dtype) not in NUMERIC)
    known = estimators_for(task)
    linear, boosted = (_score(known[name], texts, frame, answers, task) for name in (linear_name(task), BOOSTING))
    return Baseline(DEFAULT_PRIMARY[task], _guess(answers[:cut], answers[cut:], task), linear, boosted)


def _is_measurable(known: "np.ndarray", asked: "np.ndarray", task: MlTask) -> bool:
    if len(asked) < 10:
        return False
    return not task.is_classification or (len(set(asked)) > 1 and set(asked) <= set(known))


def _guess(known: "np.ndarray", asked: "np.ndarray", task: MlTask) -> float:
    import numpy as np

    if task is MlTask.REGRESSION:
        return float(np.mean(np.abs(asked - np.median(known))))
    return 0.5 if task is MlTask.BINARY else 1 / len(np.unique(known))


def _score(estimator: Estimator, texts: tuple[str, ...], frame: Any, answers: "np.ndarray", task: MlTask) -> float:
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import recall_score, roc_auc_score
    from threadpoolctl import threadpool_limits

    from understudy.stages.features import Features
    from understudy.stages.pipeline import build_pipeline

    cut = int(len(answers) * TRAINED_SHARE)
    features = Features(names=tuple(frame.columns), texts=texts)
    params = QUICK.get(estimator.name, {})
    pipeline, typed, asked = build_pipeline(estimator, features, params, 0), features.of(frame), answers[cut:]
    # Boosting is many times slower when its threads fight for busy cores.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # An unfinished fit is still a guess of what a model can reach.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(typed[:cut], answers[:cut])
    if task is MlTask.BINARY:
        return float(roc_auc_score(asked == pipeline.classes_[1], pipeline.predict_proba(typed[cut:])[:, 1]))
    said = pipeline.predict(typed[cut:])
    if task is MlTask.REGRESSION:
        return float(np.mean(np.abs(asked - said)))
    return float(recall_score(asked, said, labels=np.unique(asked), average="macro", zero_division=0.0))
