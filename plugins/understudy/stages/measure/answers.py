"""What one model says about labelled rows, beside the truth, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from understudy.contract.metrics import METRICS
from understudy.contract.words import MlTask
from understudy.stages.model.scorer import Scorer
from understudy.stages.window import Array, Window, label_texts


@dataclass(frozen=True)
class Answers:
    """Hold truth, answers and scores row by row.

    Classes are numbered as in ``classes``, the same for every model that is compared; for a regression ``classes`` is
    empty and truth and answers are the numbers themselves. ``scores`` has one column for each class.
    """

    task: MlTask
    classes: tuple[str, ...]
    actual: Array
    predicted: Array
    scores: Array | None = None
    values: Array | None = None
    """What each answer is worth, where the spec says so."""

    def __len__(self) -> int:
        return len(self.actual)

    def take(self, rows: Array) -> Answers:
        """Select rows by position or by mask."""
        return replace(
            self,
            actual=self.actual[rows],
            predicted=self.predicted[rows],
            scores=None if self.scores is None else self.scores[rows],
            values=None if self.values is None else self.values[rows],
        )

    @property
    def positive_score(self) -> Array | None:
        """Give the probability of the positive class, which is the second of two."""
        return None if self.scores is None or self.task is not MlTask.BINARY else self.scores[:, 1]


def all_classes(window: Window, scorers: list[Scorer]) -> tuple[str, ...]:
    """List every class that the rows hold or a model knows, in the order of the first model's own.

    Two classes stay in the models' order, so that the positive one is the same in training, evaluation and serving.
    """
    known = [str(c) for scorer in scorers for c in scorer.classes]
    return tuple(dict.fromkeys([*known, *np.unique(label_texts(window.labels)).tolist()]))


def ask(scorer: Scorer, window: Window, classes: tuple[str, ...]) -> Answers:
    """Let a model answer every row of a window."""
    return answers_of(scorer, scorer.typed(window.frame), window.labels, classes)


def answers_of(
    scorer: Scorer, typed: object, labels: Array, classes: tuple[str, ...], *, metric: str | None = None
) -> Answers:
    """Let a model answer rows that :meth:`Scorer.typed` has made.

    :param metric: ask the model only for what this metric looks at, which halves the work: for its answers without
        probabilities, or for probabilities, where the likeliest class stands for an answer that nobody reads.
    """
    task = scorer.facts.task
    if not task.is_classification:
        return Answers(task, (), labels, np.asarray(scorer.answer(typed), dtype=np.float64))  # type: ignore[arg-type]
    of_scores = None if metric is None else METRICS[metric].of_scores
    scores = None if of_scores is False else _scores(scorer, typed, classes)
    predicted = (
        scores.argmax(axis=1) if of_scores and scores is not None else class_numbers(scorer.answer(typed), classes)  # type: ignore[arg-type]
    )
    return Answers(task, classes, class_numbers(labels, classes), predicted, scores)


def _scores(scorer: Scorer, typed: object, classes: tuple[str, ...]) -> Array | None:
    given = scorer.probabilities(typed)  # type: ignore[arg-type]
    if given is None:
        return None
    own = [str(c) for c in scorer.classes]
    return np.column_stack([given[:, own.index(c)] if c in own else np.zeros(len(given)) for c in classes])


def class_numbers(labels: Array, classes: tuple[str, ...]) -> Array:
    """Give each label its place in ``classes``, and one that is not listed the place after the last."""
    places = {label: place for place, label in enumerate(classes)}
    known, inverse = np.unique(label_texts(np.asarray(labels)), return_inverse=True)
    # A model may answer what no row and no model lists; such an answer is wrong, whatever the truth.
    numbers: Array = np.array([places.get(label, len(classes)) for label in known.tolist()], dtype=np.int64)[inverse]
    return numbers


def no_change(window: Window, classes: tuple[str, ...], task: MlTask) -> Answers:
    """Answer every row but the first with the label of the row before: what a table of yesterday's labels would say."""
    if not task.is_classification:
        return Answers(task, (), window.labels[1:], window.labels[:-1])
    numbers = class_numbers(window.labels, classes)
    return Answers(task, classes, numbers[1:], numbers[:-1], np.eye(len(classes))[numbers[:-1]])
