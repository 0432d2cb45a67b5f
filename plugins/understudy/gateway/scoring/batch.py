"""Score requests together so that each gets what it would get alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np

from understudy.contract.release import Bundle
from understudy.gateway.exchange import Answer, Item, Wire
from understudy.gateway.scoring.predictor import Prediction, Predictor
from understudy.gateway.scoring.read import Reader, Request, Unread
from understudy.gateway.scoring.refusals import AnswerUnusable, RequestRefused, RequestUnreadable
from understudy.gateway.scoring.respond import respond, respond_error
from understudy.gateway.scoring.rows import Rows, concatenated

ROWS_AT_ONCE = 4096
LARGEST = float(np.finfo(np.float32).max)  # trees compare in single precision

Numbered = tuple[int, Request]


@dataclass(frozen=True)
class Scoring:
    """Score requests with one model version."""

    bundle: Bundle
    predictor: Predictor
    max_rows: int

    @property
    def reader(self) -> Reader:
        """Say how requests are read."""
        return Reader(self.predictor.scorer, self.max_rows)

    def __call__(self, items: Sequence[Item]) -> list[Answer]:
        """Answer each request; what is wrong with one affects no other answer."""
        answers: dict[int, Answer] = {}
        requests: list[Numbered] = []
        for place, read in enumerate(self.reader(items)):
            if isinstance(read, Unread):
                answers[place] = failure(read.wire, read.problem, read.read_us)
            else:
                requests.append((place, read))
        for group in _groups(requests):
            answers.update(self._score(group))
        return [answers[place] for place in range(len(items))]

    def _score(self, group: list[Numbered]) -> dict[int, Answer]:
        started = perf_counter_ns()
        try:
            prediction = self._predict(concatenated([request.rows for _, request in group]))
            if len(group) > 1 and not is_finite(prediction):
                raise AnswerUnusable  # one request's rows may have spoiled its neighbours' answers
        except Exception as failed:  # noqa: BLE001 - a model's code may raise anything, and serving goes on
            if len(group) > 1:
                return {place: answer for one in group for place, answer in self._score([one]).items()}
            place, request = group[0]
            return {place: failure(request.wire, _blame(request, failed), _micros(started))}
        total, spent = sum(len(request.rows) for _, request in group), _micros(started)
        answers, start = {}, 0
        for place, request in group:
            end = start + len(request.rows)
            share = request.read_us + spent * len(request.rows) // total
            answers[place] = self._answer(request, _cut(prediction, start, end), share, len(group))
            start = end
        return answers

    def _predict(self, rows: Rows) -> Prediction:
        prediction = self.predictor(rows)
        shape = (len(rows), len(self.predictor.scorer.classes))
        if prediction.answers.shape != shape[:1]:
            raise AnswerUnusable
        if prediction.probabilities is not None and prediction.probabilities.shape != shape:
            raise AnswerUnusable
        return prediction

    def _answer(self, request: Request, prediction: Prediction, score_us: int, batch: int) -> Answer:
        if not is_finite(prediction):
            return failure(request.wire, AnswerUnusable(), score_us, batch)
        try:
            body, output = respond(prediction, request.v2, self.bundle, self.predictor.scorer.classes)
        except TypeError:  # orjson's, for answers that JSON cannot hold
            return failure(request.wire, AnswerUnusable(), score_us, batch)
        return Answer(200, body, len(request.rows), output, score_us, batch)


def is_finite(prediction: Prediction) -> bool:
    """Tell whether every number in a prediction is one."""
    found = [part for part in prediction if part is not None and part.dtype.kind == "f"]
    return all(bool(np.isfinite(part).all()) for part in found)


def _groups(requests: list[Numbered]) -> Iterator[list[Numbered]]:
    """Put requests together until they have so many rows that more of them would gain nothing."""
    group: list[Numbered] = []
    rows = 0
    for place, request in requests:
        if group and rows + len(request.rows) > ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
        group.append((place, request))
        rows += len(request.rows)
    if group:
        yield group


def _cut(prediction: Prediction, start: int, end: int) -> Prediction:
    probabilities = prediction.probabilities
    return Prediction(prediction.answers[start:end], None if probabilities is None else probabilities[start:end])


def _micros(started: int) -> int:
    return (perf_counter_ns() - started) // 1000


def _blame(request: Request, failed: Exception) -> RequestRefused | AnswerUnusable:
    """Say whether the rows or the model are to blame for what the model raised."""
    values = request.rows.numbers
    if not isinstance(failed, MemoryError) and bool((np.abs(values[~np.isnan(values)]) > LARGEST).any()):
        return RequestUnreadable("The request holds a number that is too large for this model.")
    return AnswerUnusable()


def failure(wire: Wire, problem: RequestRefused | AnswerUnusable, score_us: int, batch: int = 1) -> Answer:
    """Write the answer to a request that has no prediction."""
    body = respond_error(wire, problem.code, str(problem))
    return Answer(problem.status, body, 0, b"", score_us, batch, type(problem).__name__)
