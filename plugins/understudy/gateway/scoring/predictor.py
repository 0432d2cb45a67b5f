"""Answer rows with a loaded model: as ``Scorer`` does, without its cost where that is shown to make no difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from understudy.contract.words import MlTask
from understudy.gateway.scoring.fast_model import FastModel, built_in, make_fast_model, pipeline_estimator
from understudy.gateway.scoring.probes import known_categories, make_probes
from understudy.gateway.scoring.rows import Rows

if TYPE_CHECKING:
    from understudy.stages.model.scorer import Scorer

    Array = np.ndarray[Any, Any]

TIE = 1e-9


class Prediction(NamedTuple):
    """Hold what a model says of rows."""

    answers: Array
    probabilities: Array | None


@dataclass(frozen=True)
class Predictor:
    """Answer typed rows."""

    scorer: Scorer
    fast: Scorer | None = None
    """The same model behind a face that takes typed rows; None where frames are needed."""

    def __call__(self, rows: Rows) -> Prediction:
        """Answer rows; one call of the model gives both answers and probabilities where the first follow from them."""
        if self.fast is not None:
            return _predict(self.fast, rows)
        return _predict(self.scorer, rows.frame(self.scorer.facts.features))


def make_predictor(scorer: Scorer, example: Rows) -> Predictor:
    """Take the fast way where it gives the slow way's answers for the example and for rows made from it."""
    slow = Predictor(scorer)
    try:
        model = make_fast_model(scorer.model, scorer.facts.features)
        if model is None:
            return slow
        fast = Predictor(scorer, replace(scorer, model=model))
        agrees = all(_same(fast(probe), slow(probe)) for probe in make_probes(example, known_categories(scorer.model)))
    except Exception:  # noqa: BLE001 - whatever the shorter way stumbles over, the longer one is there
        return slow
    return fast if agrees else slow


def _predict(scorer: Scorer, typed: Any) -> Prediction:
    probabilities = scorer.probabilities(typed)
    threshold = scorer.facts.decision_threshold
    if probabilities is None:
        return Prediction(scorer.answer(typed), None)
    if threshold is not None:
        return Prediction(np.asarray(scorer.classes)[(probabilities[:, 1] >= threshold).astype(int)], probabilities)
    if _answers_follow(scorer.model) and not _has_tie(probabilities):
        return Prediction(np.asarray(scorer.classes)[probabilities.argmax(axis=1)], probabilities)
    return Prediction(scorer.answer(typed), probabilities)


def _answers_follow(model: Any) -> bool:
    """Tell the estimators whose answer is the likeliest class from those that decide otherwise, such as SVC."""
    return isinstance(model, FastModel) or type(pipeline_estimator(model)) in built_in(MlTask.BINARY)


def _has_tie(probabilities: Array) -> bool:
    # Each estimator breaks ties by a rule of its own, and rounding can make a tie of a near one.
    if probabilities.shape[1] < 2:
        return True
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return bool((two[:, 1] - two[:, 0] < TIE).any())


def _same(fast: Prediction, slow: Prediction) -> bool:
    if fast.probabilities is None or slow.probabilities is None:
        if fast.probabilities is not slow.probabilities:
            return False
        if fast.answers.dtype.kind == "f":
            return np.allclose(fast.answers, slow.answers, rtol=1e-12, atol=0.0)
        return np.array_equal(fast.answers, slow.answers)
    return np.array_equal(fast.answers, slow.answers) and np.allclose(
        fast.probabilities, slow.probabilities, rtol=1e-12, atol=1e-15
    )
