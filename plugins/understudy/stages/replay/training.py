"""One training of the past: the real code on what was known then, and what its model says of all later rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import Fact
from understudy.contract.words import Takeover
from understudy.stages.context import Refused
from understudy.stages.measure.answers import Answers, answers_of
from understudy.stages.measure.importance import feature_importance
from understudy.stages.model.features import Features
from understudy.stages.model.fit import fit, fit_reference, set_up
from understudy.stages.model.scorer import Scorer
from understudy.stages.replay.history import History
from understudy.stages.split import split_window
from understudy.stages.window import Array, Window

log = logging.getLogger(__name__)
IMPORTANCE_REPEATS = 2
IMPORTANCE_ROWS = 500  # weights of a drift need no more, and there is one set for every training


class TrainingFacts(Fact):
    """Remember a training without its model."""

    place: int
    refused: str | None = None
    """Why there is no model."""
    rows: int = 0
    """Rows that the training read, holdout included."""
    trained_until: int = 0
    """The place after the newest row that the model has learnt from."""
    holdout_from: int = 0
    """The place of the first row that the gates judge on."""
    known_until: int = 0
    """The place after the newest row that was known."""
    features: Features = Features(names=())
    is_linear: bool = False
    importance: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """Hold a training's facts and its model's answers to ``rows``, which name places in the history."""

    facts: TrainingFacts
    rows: Array
    answers: Answers | None
    blessed: Answers | None
    """The answers to ``blessed_rows`` that a blessing rests on."""
    blessed_rows: Array
    references: dict[str, Answers]
    """The answers of dummy and linear to the holdout."""

    def at(self, rows: Array) -> Answers:
        """Give the answers to rows of the history, each of which this model was asked."""
        if self.answers is None:
            raise ValueError(f"the training at {self.facts.place} was refused")
        return self.answers.take(np.searchsorted(self.rows, rows))

    @property
    def holdout(self) -> Array:
        """Give the rows that the gates judge on: known, and neither learnt from nor in the embargo."""
        return held_out(self.facts, self.rows)


def held_out(facts: TrainingFacts, rows: Array) -> Array:
    """Select the holdout of a training from the rows that its model answered."""
    return rows[(rows >= facts.holdout_from) & (rows < facts.known_until)]


def train_at(history: History, place: int, code: Path | None, *, keeps_holdout: bool, takeover: Takeover) -> Training:
    """Train as a retraining run at a moment of the grid would have done, and let the model answer all later rows.

    :param keeps_holdout: leave the holdout untouched, as a run does; else the final fit gets every known row, and what
        is said of its quality comes from a fit without the holdout.
    :param takeover: where the gates decide, the references that they compare with are trained, too.
    """
    known = history.known(place)
    try:
        return _trained(history, place, known, code, keeps_holdout=keeps_holdout, takeover=takeover)
    except Refused as refused:
        log.warning("training %d is refused: %s", place, refused)
        facts = TrainingFacts(place=place, refused=str(refused), rows=known.stop - known.start)
        nothing: Array = np.array([], dtype=np.int64)
        return Training(facts, nothing, None, None, nothing, {})


def _trained(
    history: History, place: int, known: slice, code: Path | None, *, keeps_holdout: bool, takeover: Takeover
) -> Training:
    spec = history.spec
    places = np.arange(known.start, known.stop)
    if not len(places):
        raise Refused("no row with a known label lies in the training's window", "data.window")
    window = history.window.take(places)
    split = split_window(window, spec)
    rest, holdout = window.take(split.rest), window.take(split.holdout)
    bench, params = set_up(spec, code, rest), dict(spec.train.params)
    if keeps_holdout:
        train, validation = window.take(split.train), window.take(split.validation)
        draft, final = fit(bench, params, train), fit(bench, params, rest)
        judged, seen = final, int(places[split.rest[-1]]) + 1
    else:
        validation = holdout
        draft = judged = fit(bench, params, rest)
        bench = set_up(spec, code, window)
        final, seen = fit(bench, params, window), known.stop
    later = np.arange(seen, len(history.window))
    rows = later[history.answered[seen:]]
    answers = ask_rows(history, final, rows)
    facts = TrainingFacts(
        place=place,
        rows=len(window),
        trained_until=seen,
        holdout_from=int(places[split.holdout[0]]),
        known_until=known.stop,
        features=bench.features,
        is_linear=final.facts.is_linear,
        importance=_importance(draft, validation, spec, code),
    )
    references: dict[str, Answers] = {}
    if takeover is Takeover.GATES:
        asked = held_out(facts, rows)
        references = {
            str(name): ask_rows(history, fit_reference(bench, name, rest), asked) for name in spec.evaluate.must_beat
        }
    shown = places[split.holdout][history.answered[places[split.holdout]]]
    return Training(facts, rows, answers, ask_rows(history, judged, shown), shown, references)


def ask_rows(history: History, scorer: Scorer, rows: Array) -> Answers:
    """Let a model answer rows of the history."""
    frame = history.window.frame.iloc[rows]
    return answers_of(scorer, scorer.typed(frame), history.window.labels[rows], history.classes)


def _importance(draft: Scorer, validation: Window, spec: ModelSpec, code: Path | None) -> dict[str, float]:
    found = feature_importance(draft, validation, spec, code, repeats=IMPORTANCE_REPEATS, max_rows=IMPORTANCE_ROWS)
    return {i.feature: i.mean for i in found if i.mean is not None}
