"""What a model is asked for."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from understudy.contract.metrics import quality_metrics
from understudy.contract.words import MlTask
from understudy.stages.measure.answers import answers_of
from understudy.stages.measure.metrics import measure
from understudy.stages.model.features import Features
from understudy.stages.model.scorer import ModelFacts, Scorer


class Asked(LogisticRegression):  # type: ignore[misc] # scikit-learn has no types
    """Note what one is asked for."""

    asked: list[str]

    def predict(self, X: object) -> object:
        self.asked.append("answers")
        return super().predict(X)

    def predict_proba(self, X: object) -> object:
        self.asked.append("probabilities")
        return super().predict_proba(X)


@pytest.mark.parametrize("task", [MlTask.BINARY, MlTask.MULTICLASS])
def test_half_of_what_a_model_can_say_is_enough_for_a_metric(task: MlTask) -> None:
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(draw.normal(size=(400, 3)), columns=["a", "b", "c"])
    kinds = 2 if task is MlTask.BINARY else 4
    labels = np.digitize(rows["a"] + 0.5 * draw.normal(size=400), np.linspace(-1, 1, kinds + 1)[1:-1])
    model = Asked().fit(rows, labels)
    features = Features(names=("a", "b", "c"))
    facts = ModelFacts(
        model="m", estimator="logistic_regression", task=task, target="y", features=features, inputs=features.names,
        classes=tuple(range(kinds)),
    )  # fmt: skip
    scorer = Scorer(facts, model)
    classes = tuple(map(str, range(kinds)))
    model.asked = []
    whole = answers_of(scorer, rows, labels, classes)
    assert sorted(model.asked) == ["answers", "probabilities"]
    for metric in quality_metrics(task):
        model.asked = []
        half = answers_of(scorer, rows, labels, classes, metric=metric.name)
        assert model.asked == ["probabilities" if metric.of_scores else "answers"], metric.name
        assert measure(metric.name, half) == measure(metric.name, whole), metric.name
