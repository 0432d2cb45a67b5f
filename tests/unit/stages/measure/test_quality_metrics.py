"""The arithmetic of the metrics against scikit-learn, and leaving a block out against doing the work again."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from understudy.contract.metrics import quality_metrics
from understudy.contract.words import MlTask
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.blocks import Blocks
from understudy.stages.measure.metrics import measure, with_and_without

N = 900


def binary(seed: int = 0, ties: bool = True) -> Answers:
    draw = np.random.default_rng(seed)
    actual = draw.integers(0, 2, N)
    score = np.clip(0.35 * actual + draw.uniform(0, 0.65, N), 0, 1)
    score = np.round(score, 2) if ties else score
    return Answers(
        MlTask.BINARY, ("no", "yes"), actual, (score >= 0.5).astype(int), np.column_stack([1 - score, score])
    )


def several(seed: int = 0) -> Answers:
    draw = np.random.default_rng(seed)
    actual = draw.choice(4, N, p=[0.5, 0.3, 0.15, 0.05])
    scores = draw.dirichlet(np.ones(4), N) + 0.4 * np.eye(4)[actual]
    scores /= scores.sum(axis=1, keepdims=True)
    return Answers(MlTask.MULTICLASS, ("a", "b", "c", "d"), actual, scores.argmax(axis=1), scores)


def numbers(seed: int = 0) -> Answers:
    draw = np.random.default_rng(seed)
    actual = 1e6 + draw.normal(size=N)
    return Answers(MlTask.REGRESSION, (), actual, actual + draw.normal(scale=0.4, size=N))


def expected(name: str, a: Answers) -> float:
    y, p = a.actual, a.predicted
    average: Any = "macro" if a.task is MlTask.MULTICLASS else "binary"
    score = a.scores[:, 1] if a.scores is not None else None
    known = {
        "accuracy": lambda: reference.accuracy_score(y, p),
        "balanced_accuracy": lambda: reference.balanced_accuracy_score(y, p),
        "f1": lambda: reference.f1_score(y, p, average=average),
        "precision": lambda: reference.precision_score(y, p, average=average),
        "recall": lambda: reference.recall_score(y, p, average=average),
        "log_loss": lambda: reference.log_loss(y, a.scores),
        "brier": lambda: reference.brier_score_loss(y, score),
        "average_precision": lambda: reference.average_precision_score(y, score),
        "roc_auc": lambda: (
            reference.roc_auc_score(y, score)
            if a.task is MlTask.BINARY
            else reference.roc_auc_score(y, a.scores, multi_class="ovr", average="macro")
        ),
        "mae": lambda: reference.mean_absolute_error(y, p),
        "rmse": lambda: reference.root_mean_squared_error(y, p),
        "median_ae": lambda: reference.median_absolute_error(y, p),
        "r2": lambda: reference.r2_score(y, p),
    }
    return float(known[name]())


CASES = [
    (metric.name, answers)
    for task, answers in (
        (MlTask.BINARY, binary()),
        (MlTask.MULTICLASS, several()),
        (MlTask.REGRESSION, numbers()),
    )
    for metric in quality_metrics(task)
]


@pytest.mark.parametrize(("name", "answers"), [c for c in CASES if c[0] != "calibration_error"])
def test_every_metric_equals_scikit_learns(name: str, answers: Answers) -> None:
    assert measure(name, answers) == pytest.approx(expected(name, answers), rel=1e-9)


@pytest.mark.parametrize(("name", "answers"), CASES)
def test_leaving_a_block_out_equals_measuring_the_other_rows(name: str, answers: Answers) -> None:
    blocks = Blocks(np.arange(N) // 75, 12)
    whole, without = with_and_without(name, answers, blocks)
    assert whole == pytest.approx(measure(name, answers), rel=1e-12)
    for block in range(12):
        assert without[block] == pytest.approx(measure(name, answers.take(blocks.ids != block)), rel=1e-9)


def test_calibration_error_of_a_known_table() -> None:
    # Ten bins of ten rows; in each the probability is .3 and four of ten rows are positive.
    actual = np.tile([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], 10)
    scores = np.full(100, 0.3)
    assert measure(
        "calibration_error",
        Answers(MlTask.BINARY, ("n", "y"), actual, np.zeros(100, int), np.column_stack([1 - scores, scores])),
    ) == pytest.approx(0.1)


def test_value_is_the_mean_per_row() -> None:
    answers = Answers(MlTask.REGRESSION, (), np.zeros(4), np.zeros(4), values=np.array([1.0, 2.0, 3.0, -2.0]))
    assert measure("value", answers) == 1.0


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_a_holdout_of_one_class_has_no_area(name: str) -> None:
    answers = binary().take(np.flatnonzero(binary().actual == 1))
    assert measure(name, answers) is None


def test_metrics_of_probabilities_are_absent_without_probabilities() -> None:
    a = binary()
    bare = Answers(a.task, a.classes, a.actual, a.predicted)
    assert [measure(m, bare) for m in ("roc_auc", "average_precision", "log_loss", "brier", "calibration_error")] == [
        None
    ] * 5
    assert measure("accuracy", bare) is not None


def test_an_answer_outside_of_all_classes_is_wrong_and_nothing_more() -> None:
    a = several()
    strange = Answers(a.task, a.classes, a.actual, np.full(N, 4), a.scores)
    assert measure("accuracy", strange) == 0
    assert measure("recall", strange) == 0


def test_several_classes_of_which_two_occur_are_still_averaged() -> None:
    actual, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 1])
    answers = Answers(MlTask.MULTICLASS, ("a", "b"), actual, predicted)
    assert measure("f1", answers) == pytest.approx(reference.f1_score(actual, predicted, average="macro"))


def test_a_constant_target_has_no_r2() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure("r2", Answers(MlTask.REGRESSION, (), np.full(50, 7.0), np.arange(50.0))) is None
