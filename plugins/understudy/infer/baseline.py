"""A quick, honest guess of what a model can reach on this data, and whether a simple one is enough."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from understudy.contract.declaration.estimators import Estimator, estimators_for
from understudy.contract.metrics import DEFAULT_PRIMARY, METRICS
from understudy.contract.words import MlTask
from understudy.infer.matrix import evenly
from understudy.stages.read.column_kind import NUMERIC, kind_of

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

SAMPLE_ROWS = 12_000
TRAINED_SHARE = 0.8
WORTH_IT = 1.02  # boosting must lead a guess by this much more than the linear model does, to be worth its complexity
BLOCKS, CHANCE = 20, 0.001  # how rarely columns that say nothing may look as if they helped
TOO_GOOD = {"roc_auc": 0.995, "balanced_accuracy": 0.995}
QUICK: dict[str, dict[str, JsonValue]] = {
    "hist_gradient_boosting": {"max_iter": 40, "early_stopping": False},
    "logistic_regression": {"max_iter": 100},
}
BOOSTING = "hist_gradient_boosting"


@dataclass(frozen=True)
class Measured:
    """Hold a model's score, and the least lead over a guess that the tested rows leave it."""

    score: float
    least_lead: float


@dataclass(frozen=True)
class Baseline:
    """Hold the score of a guess that ignores the features, a linear model's and a small boosted one's."""

    metric: str
    dummy: float
    linear: Measured
    boosted: Measured

    @property
    def is_simple_enough(self) -> bool:
        """Whether the linear model does about as well as the boosted one."""
        linear, boosted = (lead_of(self.metric, model.score, self.dummy) for model in (self.linear, self.boosted))
        return linear > 0 and boosted < WORTH_IT * linear

    @property
    def small(self) -> float:
        """The score of the one that was chosen."""
        return self._chosen.score

    @property
    def bound(self) -> float:
        """Halfway between guessing and the chosen one, with room for worse times; three significant digits."""
        return float(f"{(self.dummy + self.small) / 2:.3g}")

    @property
    def lead(self) -> float:
        """How much better than a guess the chosen one is."""
        return lead_of(self.metric, self.small, self.dummy)

    @property
    def learns(self) -> bool:
        """Whether the features helped, and by more than a drawing of rows can feign."""
        return self._chosen.least_lead > 0

    @property
    def _chosen(self) -> Measured:
        return self.linear if self.is_simple_enough else self.boosted


def lead_of(metric: str, score: float, dummy: float) -> float:
    """Tell how much better one score is than another."""
    return score - dummy if METRICS[metric].greater_is_better else dummy - score


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
    said = [_said(known[name], texts, frame, answers, task) for name in (linear_name(task), BOOSTING)]
    linear, boosted = (_measured(answers[:cut], answers[cut:], one, task) for one in said)
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


def _measured(known: "np.ndarray", asked: "np.ndarray", said: "np.ndarray", task: MlTask) -> Measured:
    """Score the answers, and bound the lead by leaving out blocks of rows, since neighbours are alike."""
    import numpy as np

    from understudy.stages.measure.jackknife import uncertainty

    def lead(rows: "np.ndarray") -> float:
        if task is MlTask.BINARY and len(np.unique(asked[rows])) < len(np.unique(known)):
            return float("nan")
        score = _score(asked[rows], said[rows], task)
        return lead_of(DEFAULT_PRIMARY[task], score, _guess(known, asked[rows], task))

    every = np.arange(len(asked))
    blocks = np.array_split(every, min(BLOCKS, len(asked)))
    without = np.array([lead(np.setdiff1d(every, block)) for block in blocks])
    found = uncertainty(lead(every), without, np.array([len(block) for block in blocks]))
    least = lead(every) if found is None else found.interval(lead(every), CHANCE)[0]
    return Measured(_score(asked, said, task), least)


def _score(asked: "np.ndarray", said: "np.ndarray", task: MlTask) -> float:
    import numpy as np
    from sklearn.metrics import recall_score, roc_auc_score

    if task is MlTask.BINARY:
        return float(roc_auc_score(asked == max(asked), said))
    if task is MlTask.REGRESSION:
        return float(np.mean(np.abs(asked - said)))
    return float(recall_score(asked, said, labels=np.unique(asked), average="macro", zero_division=0.0))


def _said(
    estimator: Estimator, texts: tuple[str, ...], frame: Any, answers: "np.ndarray", task: MlTask
) -> "np.ndarray":
    """Train on the first rows and answer for the rest; with the probability of the second of two classes."""
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    from understudy.stages.model.features import Features
    from understudy.stages.model.pipeline import build_pipeline

    cut = int(len(answers) * TRAINED_SHARE)
    features = Features(names=tuple(frame.columns), texts=texts)
    params = QUICK.get(estimator.name, {})
    pipeline, typed = build_pipeline(estimator, features, params, 0), features.of(frame)
    # Boosting is many times slower when its threads fight for busy cores.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # An unfinished fit is still a guess of what a model can reach.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(typed[:cut], answers[:cut])
    said = pipeline.predict_proba(typed[cut:])[:, 1] if task is MlTask.BINARY else pipeline.predict(typed[cut:])
    return np.asarray(said)
