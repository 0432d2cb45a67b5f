"""Requests that are scored together: each gets what it would get alone, whatever is wrong with its neighbours."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from understudy.contract.release import Bundle
from understudy.contract.words import MlTask
from understudy.gateway.exchange import Answer, Item, Wire
from understudy.gateway.scoring.batch import ROWS_AT_ONCE, Scoring
from understudy.gateway.scoring.predictor import Predictor
from understudy.stages.model.features import Features
from understudy.stages.model.scorer import ModelFacts, Scorer

BUNDLE = Bundle(
    model="m",
    version=4,
    model_sha256="0" * 64,
    image_digest="",
    code_commit="",
    spec_sha256="",
    data_version="",
    run="",
    reference_data="",
)
POISON = -13.0


class Doubling:
    """Double ``a``; raise on one value, and on another answer no number to any row that is there with it."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, typed: pd.DataFrame) -> Any:
        self.calls.append(len(typed))
        values = typed["a"].to_numpy(dtype=float)
        if (values == POISON).any() or (np.abs(values) > 1e38).any():
            raise RuntimeError("this row is not to my liking")
        return np.where((values == 404).any(), np.nan, values * 2)


class Halves:
    """Answer every row with the second of two classes, as sure as of the first."""

    def __init__(self, classes: Any) -> None:
        self.classes_ = np.array(classes)

    def predict(self, typed: pd.DataFrame) -> Any:
        return self.classes_[np.ones(len(typed), dtype=int)]

    def predict_proba(self, typed: pd.DataFrame) -> Any:
        return np.full((len(typed), 2), 0.5)


def scoring(model: Any, *, classes: tuple[Any, ...] = (), max_rows: int = 5000, prepare: Any = None) -> Scoring:
    facts = ModelFacts(
        model="m",
        estimator="theirs",
        task=MlTask.BINARY if classes else MlTask.REGRESSION,
        target="y",
        features=Features(names=("a",)),
        inputs=("raw",) if prepare else ("a",),
        classes=classes,
        prepare="prepare.py:prepare" if prepare else None,
    )
    return Scoring(BUNDLE, Predictor(Scorer(facts, model, prepare)), max_rows)


def row(*values: Any, column: str = "a") -> Item:
    return Item(Wire.MLFLOW_JSON, json.dumps({"inputs": {column: list(values)}}).encode())


def said(answer: Answer) -> Any:
    return json.loads(answer.body)


def test_one_frame_for_all_requests_and_to_each_its_own_rows() -> None:
    model = Doubling()
    answers = scoring(model)([row(1), row(2, 3), Item(Wire.MLFLOW_CSV, b"a\n4\n")])
    assert model.calls == [4]
    assert [said(answer) for answer in answers] == [
        {"predictions": [2.0]},
        {"predictions": [4.0, 6.0]},
        {"predictions": [8.0]},
    ]
    assert [(answer.status, answer.rows, answer.batch, answer.error) for answer in answers] == [
        (200, 1, 3, None),
        (200, 2, 3, None),
        (200, 1, 3, None),
    ]
    assert json.loads(answers[1].output) == {"predictions": [4.0, 6.0], "probabilities": None}


def test_a_request_that_cannot_be_read_costs_its_neighbours_nothing() -> None:
    model = Doubling()
    answers = scoring(model)([row(1), Item(Wire.MLFLOW_JSON, b"{"), row("x"), row(3)])
    assert [answer.status for answer in answers] == [200, 400, 400, 200]
    assert [answer.error for answer in answers] == [None, "RequestUnreadable", "ValueUnusable", None]
    assert said(answers[2]) == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "The column 'a' holds a value that is not a number. Correct it, or send null.",
    }
    assert model.calls == [2]


def test_a_row_on_which_the_model_raises_fails_only_its_own_request() -> None:
    answers = scoring(Doubling())([row(1), row(2, POISON), row(3)])
    assert [answer.status for answer in answers] == [200, 500, 200]
    assert [answer.batch for answer in answers] == [1, 1, 1]
    assert answers[1].error == "AnswerUnusable"
    assert answers[1].output == b""
    assert "liking" not in answers[1].body.decode()


def test_a_prediction_that_is_no_number_fails_only_its_own_request() -> None:
    answers = scoring(Doubling())([row(1), row(404), row(3)])
    assert [answer.status for answer in answers] == [200, 500, 200]


def test_a_number_beyond_what_trees_compare_is_the_callers_matter() -> None:
    answers = scoring(Doubling())([row(1), row(1e300)])
    assert [answer.status for answer in answers] == [200, 400]


def test_many_rows_are_scored_in_pieces() -> None:
    model = Doubling()
    answers = scoring(model)([row(*[1.0] * 3000), row(*[2.0] * 3000), row(3)])
    assert model.calls == [3000, 3001]
    assert max(model.calls) <= ROWS_AT_ONCE
    assert [answer.rows for answer in answers] == [3000, 3000, 1]


def test_too_many_rows_are_refused_with_413_in_every_protocol() -> None:
    tensor = {"name": "a", "datatype": "FP64", "shape": [3], "data": [1, 2, 3]}
    items = [
        row(1, 2, 3),
        Item(Wire.MLFLOW_CSV, b"a\n1\n2\n3\n"),
        Item(Wire.V2_JSON, json.dumps({"inputs": [tensor]}).encode()),
    ]
    assert [answer.status for answer in scoring(Doubling(), max_rows=2)(items)] == [413, 413, 413]


def v2(**more: Any) -> Item:
    tensor = {"name": "a", "datatype": "FP64", "shape": [2], "data": [1, 2]}
    return Item(Wire.V2_JSON, json.dumps({"inputs": [tensor], **more}).encode())


@pytest.mark.parametrize(
    ("classes", "datatype"), [((0, 1), "INT64"), (("no", "yes"), "BYTES"), ((False, True), "BOOL")]
)
def test_v2_answers_with_typed_tensors(classes: tuple[Any, ...], datatype: str) -> None:
    answer = scoring(Halves(classes), classes=classes)([v2(id="7")])[0]
    assert said(answer) == {
        "model_name": "m",
        "model_version": "4",
        "id": "7",
        "outputs": [
            {"name": "predict", "shape": [2], "datatype": datatype, "data": [classes[1]] * 2},
            {"name": "probabilities", "shape": [2, 2], "datatype": "FP64", "data": [0.5] * 4},
        ],
    }
    logged = {"predictions": [classes[1]] * 2, "probabilities": [[0.5, 0.5]] * 2, "classes": list(classes)}
    assert json.loads(answer.output) == logged


def test_v2_answers_with_the_outputs_that_were_asked_for() -> None:
    answer = scoring(Halves([0, 1]), classes=(0, 1))([v2(outputs=[{"name": "predict"}])])[0]
    assert [output["name"] for output in said(answer)["outputs"]] == ["predict"]


def test_v2_errors_have_v2s_form() -> None:
    answer = scoring(Doubling())([Item(Wire.V2_JSON, b"{}")])[0]
    assert (answer.status, said(answer)) == (400, {"error": "inputs must be a JSON array of tensors."})


def prepare(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"a": frame["raw"].str.len()})


def test_prepare_gets_requests_together_only_if_that_changes_no_columns_type() -> None:
    seen: list[tuple[int, str]] = []

    def noting(frame: pd.DataFrame) -> pd.DataFrame:
        seen.append((len(frame), frame["raw"].dtype.kind))
        return frame.rename(columns={"raw": "a"})

    model = Doubling()
    items = [row(1, column="raw"), row(2, 3, column="raw"), row(4, 4.5, column="raw"), row(5, 5.5, column="raw")]
    answers = scoring(model, prepare=noting)([*items, row(6, column="raw")])
    assert [said(answer)["predictions"] for answer in answers] == [[2.0], [4.0, 6.0], [8.0, 9.0], [10.0, 11.0], [12.0]]
    assert seen == [(4, "i"), (4, "f")]
    assert model.calls == [8]


def test_rows_that_prepare_stumbles_over_are_refused_without_a_word_of_its_error() -> None:
    answers = scoring(Doubling(), prepare=prepare)(
        [row(5, column="raw"), row("abc", column="raw"), row(5, column="b"), row(7, column="raw")]
    )
    assert [(answer.status, answer.error) for answer in answers] == [
        (400, "PrepareFailed"),
        (200, None),
        (400, "ColumnMissing"),
        (400, "PrepareFailed"),
    ]
    assert "str" not in said(answers[0])["message"]
