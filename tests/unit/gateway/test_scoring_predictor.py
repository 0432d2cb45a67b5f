"""The fast way: the same answers as the way that was evaluated, or it is not taken."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.words import MlTask
from understudy.gateway.scoring.predictor import Predictor, make_predictor
from understudy.gateway.scoring.rows import Rows
from understudy.stages.model.features import Features
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.scorer import ModelFacts, Scorer

ROWS = 400
QUICK: dict[str, dict[str, Any]] = {
    "hist_gradient_boosting": {"max_iter": 8},
    "random_forest": {"n_estimators": 12},
    "extra_trees": {"n_estimators": 12},
    "decision_tree": {"max_depth": 3},
}
CASES = [(task, name) for task in MlTask for name in estimators_for(task)]


def frame(texts: bool = False) -> pd.DataFrame:
    random = np.random.default_rng(3)
    made = pd.DataFrame(random.normal(size=(ROWS, 4)), columns=["a", "b", "c", "d"])
    made["d"] = made["d"].round()
    made.loc[::7, "b"] = np.nan
    if texts:
        made.insert(1, "kind", random.choice(["north", "south"], size=ROWS).astype(object))
    return made


def fitted(task: MlTask, name: str, *, texts: bool = False) -> tuple[Scorer, Rows]:
    x = frame(texts)
    score = x["a"].to_numpy() + x["c"].to_numpy() ** 2
    classes = {MlTask.BINARY: (score > 1).astype(int), MlTask.MULTICLASS: np.digitize(score, [0, 1.5]).astype(str)}
    y = classes.get(task, score)
    features = Features(names=tuple(x.columns), texts=("kind",) if texts else ())
    typed = features.of(x)
    model = build_pipeline(estimators_for(task)[name], features, QUICK.get(name, {}), seed=0).fit(typed, y)
    facts = ModelFacts(
        model="m",
        estimator=name,
        task=task,
        target="y",
        features=features,
        inputs=features.names,
        classes=tuple(np.unique(y).tolist()) if task.is_classification else (),
    )
    kinds = (typed["kind"].tolist(),) if texts else ()
    return Scorer(facts, model), Rows(typed[list(features.numbers)].to_numpy(), kinds)


def assert_same(predictor: Predictor, scorer: Scorer, rows: Rows) -> None:
    typed = rows.frame(scorer.facts.features)
    found, probabilities = predictor(rows), scorer.probabilities(typed)
    if scorer.facts.task.is_classification:
        assert found.answers.tolist() == scorer.answer(typed).tolist()
    np.testing.assert_allclose(np.asarray(found.answers, float), np.asarray(scorer.answer(typed), float), rtol=1e-12)
    if probabilities is None:
        assert found.probabilities is None
    else:
        assert found.probabilities is not None
        np.testing.assert_allclose(found.probabilities, probabilities, rtol=1e-12)


@pytest.mark.parametrize("texts", [False, True], ids=["numbers", "with texts"])
@pytest.mark.parametrize(("task", "name"), CASES, ids=str)
def test_every_built_in_estimator_takes_the_fast_way_and_answers_the_same(task: MlTask, name: str, texts: bool) -> None:
    scorer, rows = fitted(task, name, texts=texts)
    predictor = make_predictor(scorer, rows.cut(0, 3))
    assert predictor.fast is not None
    assert_same(predictor, scorer, rows)
    for size in (1, 2, 64):
        assert_same(predictor, scorer, rows.cut(5, 5 + size))
    for kind in ("south", "an unknown one", np.nan, "None", ""):
        assert_same(predictor, scorer, Rows(np.full((2, 4), np.nan), ([kind] * 2,) if texts else ()))


def test_categories_alone_are_enough() -> None:
    x = pd.DataFrame({"p": ["x", "y", np.nan, "z"] * 50, "q": [str(i % 30) for i in range(200)]}, dtype=object)
    features = Features(names=("p", "q"), texts=("p", "q"))
    for task, name in CASES:
        labels = (np.arange(200) % 3).astype(str if task is MlTask.MULTICLASS else float)
        labels = (labels == 0).astype(int) if task is MlTask.BINARY else labels
        model = build_pipeline(estimators_for(task)[name], features, QUICK.get(name, {}), 0).fit(features.of(x), labels)
        facts = ModelFacts(
            model="m",
            estimator=name,
            task=task,
            target="y",
            features=features,
            inputs=features.names,
            classes=tuple(np.unique(labels).tolist()) if task.is_classification else (),
        )
        rows = Rows(np.empty((200, 0)), (x["p"].tolist(), x["q"].tolist()))
        predictor = make_predictor(Scorer(facts, model), rows.cut(0, 3))
        assert predictor.fast is not None, name
        assert_same(predictor, Scorer(facts, model), rows)


def test_a_model_that_is_not_ours_keeps_to_frames() -> None:
    class ByName:
        def predict(self, typed: pd.DataFrame) -> Any:
            return (typed["a"] > 0).astype(int).to_numpy()

    scorer, rows = fitted(MlTask.BINARY, "decision_tree")
    predictor = make_predictor(replace(scorer, model=ByName()), rows)
    assert predictor.fast is None
    assert predictor(rows).answers.tolist() == (rows.numbers[:, 0] > 0).astype(int).tolist()
    assert predictor(rows).probabilities is None


def test_the_fast_way_is_not_taken_when_it_would_answer_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, rows = fitted(MlTask.REGRESSION, "random_forest")
    tree = scorer.model.steps[1][1].estimators_[0]
    whole = type(tree).predict
    # As if a later release of scikit-learn did more with a tree's answer than add it up.
    monkeypatch.setattr(type(tree), "predict", lambda self, *a, **k: whole(self, *a, **k) * 1.001)
    assert make_predictor(scorer, rows).fast is None


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_the_decision_threshold_of_training_decides(threshold: float) -> None:
    scorer, rows = fitted(MlTask.BINARY, "logistic_regression")
    scorer = replace(scorer, facts=scorer.facts.model_copy(update={"decision_threshold": threshold}))
    predictor = make_predictor(scorer, rows)
    found = predictor(rows)
    assert predictor.fast is not None
    assert found.probabilities is not None
    assert found.answers.tolist() == (found.probabilities[:, 1] >= threshold).astype(int).tolist()
    assert_same(predictor, scorer, rows)


def test_between_equal_classes_the_estimators_own_rule_decides() -> None:
    scorer, rows = fitted(MlTask.BINARY, "logistic_regression")
    estimator = scorer.model.steps[1][1]
    estimator.coef_[:], estimator.intercept_[:] = 0.0, 1e-17  # a score that is positive, and a probability of 0.5
    predictor = make_predictor(scorer, rows)
    assert scorer.answer(rows.frame(scorer.facts.features)).tolist() == [1] * ROWS
    assert predictor(rows).answers.tolist() == [1] * ROWS


def test_a_support_vector_machine_is_asked_for_its_answer() -> None:
    class Contrary:
        """Answer what is less likely, as Platt's scaling may make it look."""

        classes_ = np.array([0, 1])

        def predict(self, typed: pd.DataFrame) -> Any:
            return np.ones(len(typed), dtype=int)

        def predict_proba(self, typed: pd.DataFrame) -> Any:
            return np.tile([0.6, 0.4], (len(typed), 1))

    scorer, rows = fitted(MlTask.BINARY, "decision_tree")
    assert make_predictor(replace(scorer, model=Contrary()), rows)(rows).answers.tolist() == [1] * ROWS
