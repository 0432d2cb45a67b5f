"""Trials and the final fit on a small simulated table: which rows and columns they use, and what they refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.stages.shop import call, code, spec, table, training, trial_report
from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.context import Refused
from understudy.stages.measure.leaks import leaked_rows
from understudy.stages.model.model_files import load_model
from understudy.stages.trial import run as trial
from understudy.stages.window import read_window

WITHOUT_CHANCES = """
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC


def train(frame, params, context):
    chosen = make_column_transformer(("passthrough", ["noise"]))
    return make_pipeline(chosen, LinearSVC()).fit(frame[list(context.features)], frame[context.target])
"""


def test_a_trial_fits_on_older_rows_and_scores_newer_ones(tmp_path: Path) -> None:
    report = trial_report(tmp_path, spec(), number=4, params={"max_depth": 2})
    assert (report.number, report.metric) == (4, "roc_auc")
    assert report.params == {"max_iter": 20, "max_depth": 2}
    assert (report.rows_trained, report.rows_validated) == (384, 96)
    assert report.value is not None
    assert 0.7 < report.value < 1
    assert list((tmp_path / "out").iterdir()) == []


def test_the_final_fit_uses_every_row_before_the_embargo_and_none_after(tmp_path: Path) -> None:
    report = training(tmp_path, spec(split={"embargo": "5h"}))
    assert (report.rows_trained, report.rows_embargoed, report.rows_held_out) == (475, 5, 120)
    assert report.train_end is not None
    assert report.holdout_start is not None
    assert (report.holdout_start - report.train_end).total_seconds() == 6 * 3600
    holdout = pd.read_parquet(tmp_path / "out" / "holdout.parquet")
    assert len(holdout) == 120
    assert "mail" not in holdout
    assert {"bought", "at", "sex", "customer"} <= set(holdout)


def test_target_time_keys_personal_sensitive_and_empty_columns_are_no_features(tmp_path: Path) -> None:
    assert training(tmp_path, spec(data={"drop": ["is_new"]})).features == ("size", "color", "noise")


def test_references_ride_along_and_useless_features_are_named(tmp_path: Path) -> None:
    report = training(tmp_path, spec())
    assert report.reference_metrics["dummy"]["roc_auc"] == 0.5
    assert report.reference_metrics["linear"]["roc_auc"] > 0.7  # type: ignore[operator]
    assert {i.feature for i in report.importance[:2]} == {"size", "color"}
    assert "noise" in report.unused_features
    assert "size" not in report.unused_features
    assert load_model(tmp_path / "out" / "references" / "linear").facts.is_linear


@pytest.mark.parametrize(
    ("changes", "words", "field"),
    [
        (
            {"train": {"params": {"max_itr": 5}}},
            r"max_itr: .* no such parameter; did you mean 'max_iter'\?",
            "train.params.max_itr",
        ),
        ({"train": {"params": {"max_iter": -5}}}, r"'max_iter' parameter .* must be an int", "train.params.max_iter"),
        (
            {"data": {"target": "bougth"}},
            r"'bougth', which the data do not have; did you mean 'bought'\?",
            "data.target",
        ),
        ({"data": {"time": "color"}}, "whose values are not times", "data.time"),
        ({"data": {"target": "color"}}, "has 3 classes .* write task: multiclass_classification", "task"),
        (
            {"task": "regression", "gates": [{"metric": "mae"}]},
            r"holds (str|object) values, no numbers \(for example '(yes|no)'\).* data\.decimal",
            "data.target",
        ),
        ({"data": {"drop": ["size", "color", "noise", "is_new"]}}, "No column is left to learn from", "data.drop"),
        ({"train": {"trainer": "trainer.py:train"}}, "was not handed to this stage", "train.trainer"),
    ],
)
def test_a_bad_declaration_is_refused_by_field(tmp_path: Path, changes: dict[str, Any], words: str, field: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        call(trial, tmp_path, spec(**changes))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("point", "field"), [({"max_itr": 5}, "train.search.max_itr"), ({"max_iter": -5}, "train.search.max_iter")]
)
def test_a_searched_parameter_is_named_where_it_stands(tmp_path: Path, point: dict[str, int], field: str) -> None:
    declared = spec(train={"params": {}, "search": {name: {"choices": [value]} for name, value in point.items()}})
    with pytest.raises(Refused, match=field.rpartition(".")[0]) as caught:
        call(trial, tmp_path, declared, params=point)
    assert caught.value.field == field


def test_a_target_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="single class 'no'"):
        call(trial, tmp_path, spec(), table().assign(bought="no"))


def test_a_score_that_a_model_does_not_give_is_refused_with_its_reason(tmp_path: Path) -> None:
    code(tmp_path, trainer=WITHOUT_CHANCES)
    with pytest.raises(Refused, match=r"roc_auc cannot be measured on the 96 rows .* no usable prob") as caught:
        call(trial, tmp_path, spec(train={"trainer": "trainer.py:train"}))
    assert caught.value.field == "train.trainer"


def wide(columns: int) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    numbers = pd.DataFrame(draw.normal(size=(150, columns)), columns=[f"c{i}" for i in range(columns)])
    return pd.concat([table().head(150)[["at", "bought"]], numbers], axis=1)


def test_ten_thousand_columns_can_be_trained_on(tmp_path: Path) -> None:
    declared = spec(data={"key": [], "classes": {}}, train={"estimator": "logistic_regression", "params": {}})
    assert trial_report(tmp_path, declared, wide(10_000)).value is not None


def test_hundreds_of_features_are_not_shuffled_one_by_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    declared = spec(data={"key": [], "classes": {}}, train={"estimator": "logistic_regression", "params": {}})
    report = training(tmp_path, declared, wide(301))
    assert len(report.features) == 301
    assert report.importance == ()
    assert "importance is not measured" in caplog.text


def test_a_search_by_business_value_uses_the_declared_costs(tmp_path: Path) -> None:
    costs = {"yes": {"yes": -5, "no": 5}, "no": {"yes": 1, "no": 0}}
    declared = spec(evaluate={"value": {"costs": costs}}, gates=[{"metric": "value"}])
    report = trial_report(tmp_path, declared, number=0)
    assert report.metric == "value"
    assert report.value is not None
    assert -5 < report.value < 5


def test_undated_rows_with_a_personal_key_are_told_apart_in_training_and_evaluation(tmp_path: Path) -> None:
    declared = spec(
        data={"time": None, "key": ["mail"], "classes": {"pii": ["mail"], "sensitive": ["sex"]}},
        split={"method": "random"},
    )
    report = training(tmp_path, declared)
    assert "mail" not in report.features
    parsed = ModelSpec.model_validate(declared)
    holdout = read_window(tmp_path / "out" / "holdout.parquet", parsed)
    scorer = load_model(tmp_path / "out" / "model")
    assert len(holdout) == report.rows_held_out > 0
    assert leaked_rows(holdout, parsed, [(scorer.facts, None)]) == 0
