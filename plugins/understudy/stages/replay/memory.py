"""Trainings on disk: what a model said, never the model; equal trainings give equal bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.contract.words import MlTask
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.value import with_values
from understudy.stages.replay.history import History
from understudy.stages.replay.training import Training, TrainingFacts, held_out
from understudy.stages.window import Array

SUFFIX = ".npz"
PREDICTED = "/predicted"
MODEL, BLESSED = "model", "blessed"


def file_of(folder: Path, place: int) -> Path:
    """Name the file of the training at a moment of the grid."""
    return folder / f"{place:05}{SUFFIX}"


def write_training(folder: Path, training: Training) -> Path:
    """Keep a training; a half-written file is never found under its name."""
    path = file_of(folder, training.facts.place)
    arrays = {"facts": np.frombuffer(training.facts.model_dump_json().encode(), dtype=np.uint8), "rows": training.rows}
    if training.answers is not None and training.blessed is not None:
        arrays |= {**_packed(MODEL, training.answers), **_packed(BLESSED, training.blessed)}
        arrays["blessed_rows"] = training.blessed_rows
        for name, answers in training.references.items():
            arrays |= _packed(name, answers)
    draft = path.with_suffix(".draft")
    with draft.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return draft.replace(path)


def read_training(folder: Path, place: int, history: History, code: Path | None) -> Training:
    """Bring a training back, with the value of each answer where the declaration says what answers are worth."""
    with np.load(file_of(folder, place), allow_pickle=False) as arrays:
        facts = TrainingFacts.model_validate_json(arrays["facts"].tobytes())
        rows: Array = arrays["rows"]
        if facts.refused is not None:
            return Training(facts, rows, None, None, rows, {})
        blessed_rows, holdout = arrays["blessed_rows"], held_out(facts, rows)
        names = [name.removesuffix(PREDICTED) for name in arrays.files if name.endswith(PREDICTED)]
        asked = {name: {MODEL: rows, BLESSED: blessed_rows}.get(name, holdout) for name in names}
        answers = {
            name: with_values(_unpacked(arrays, name, asked[name], history), history.spec, code) for name in names
        }
    return Training(facts, rows, answers.pop(MODEL), answers.pop(BLESSED), blessed_rows, answers)


def _packed(name: str, answers: Answers) -> dict[str, Array]:
    predicted = answers.predicted.astype(np.int16) if answers.classes else answers.predicted
    packed = {name + PREDICTED: predicted}
    if answers.scores is not None:
        # Of two classes the second says it all. Four bytes keep seven digits, more than any metric shows.
        kept = answers.scores[:, 1:] if len(answers.classes) == 2 else answers.scores
        packed[f"{name}/scores"] = kept.astype(np.float32)
    return packed


def _unpacked(arrays: np.lib.npyio.NpzFile, name: str, rows: Array, history: History) -> Answers:
    predicted = arrays[name + PREDICTED]
    answers = Answers(
        history.spec.task,
        history.classes,
        history.actual[rows],
        predicted.astype(np.int64) if history.classes else predicted,
    )
    if f"{name}/scores" not in arrays.files:
        return answers
    scores = arrays[f"{name}/scores"].astype(np.float64)
    if history.spec.task is MlTask.BINARY and scores.shape[1] == 1:
        scores = np.column_stack([1 - scores[:, 0], scores[:, 0]])
    return replace(answers, scores=scores)
