"""Trials and the final fit on a small simulated table."""

import importlib.util
import json
import py_compile
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from understudy.contract.reports import TrainingReport, TrialReport
from understudy.contract.stage import StageRequest, artefact_of
from understudy.stages.context import Refused, StageContext, StageOutput
from understudy.stages.model_files import ModelUnreadable, PickleRefused, load_model
from understudy.stages.train import run as train
from understudy.stages.trial import run as trial

ROWS = 600


def table(seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    color = draw.choice(["red", "green", "blue"], ROWS)
    size = draw.normal(size=ROWS)
    chance = 1 / (1 + np.exp(-(1.5 * size + 2.0 * (color == "red") - 0.8)))
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
            "customer": np.arange(ROWS),
            "mail": [f"p{i}@example.org" for i in range(ROWS)],
            "size": size,
            "color": color,
            "noise": draw.normal(size=ROWS),
            "is_new": draw.integers(0, 2, ROWS).astype(bool),
            "empty": np.nan,
            "sex": draw.choice(["f", "m"], ROWS),
            "bought": np.where(draw.uniform(size=ROWS) < chance, "yes", "no"),
        }
    )
    frame.loc[::17, "size"] = np.nan
    frame.loc[::23, "color"] = None
    return frame


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "model": "shop",
        "owner": "team",
        "task": "binary_classification",
        "data": {
            "source": "shop.csv",
            "target": "bought",
            "time": "at",
            "key": ["customer"],
            "classes": {"pii": ["mail"], "sensitive": ["sex"]},
            **changes.pop("data", {}),
        },
        "train": {"params": {"max_iter": 20}, **changes.pop("train", {})},
        "gates": [{"metric": "roc_auc"}],
        **changes,
    }


AS_OF = datetime(2024, 3, 1, tzinfo=timezone.utc)


def call(
    stage: Any, tmp_path: Path, declared: dict[str, Any], frame: pd.DataFrame | None = None, **params: Any
) -> StageOutput:
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir(exist_ok=True)
    outputs.mkdir(exist_ok=True)
    (table() if frame is None else frame).to_parquet(inputs / "data.parquet")
    mounted = {"data.parquet": inputs / "data.parquet"}
    if (tmp_path / "code").exists():
        mounted["code"] = tmp_path / "code"
    request = StageRequest(
        stage="x",
        model="shop",
        run="r",
        as_of=AS_OF,
        spec=json.loads(json.dumps(declared)),
        params=params,
    )
    output: StageOutput = stage(StageContext(request, mounted, outputs))
    return output


def training(
    tmp_path: Path, declared: dict[str, Any], frame: pd.DataFrame | None = None, **params: Any
) -> TrainingReport:
    report = call(train, tmp_path, declared, frame, **params).report
    assert isinstance(report, TrainingReport)
    return report


def trial_report(
    tmp_path: Path, declared: dict[str, Any], frame: pd.DataFrame | None = None, **params: Any
) -> TrialReport:
    report = call(trial, tmp_path, declared, frame, **params).report
    assert isinstance(report, TrialReport)
    return report


def code(tmp_path: Path, **files: str) -> None:
    (tmp_path / "code").mkdir(exist_ok=True)
    for name, text in files.items():
        (tmp_path / "code" / f"{name}.py").write_text(text)


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
    ("estimator", "labels"),
    [
        ("hist_gradient_boosting", ("no", "yes")),
        ("hist_gradient_boosting", (0, 1)),
        ("hist_gradient_boosting", (False, True)),
        ("logistic_regression", (0.0, 1.0)),
        ("logistic_regression", ("no", "yes")),
        ("random_forest", (False, True)),
        ("extra_trees", ("no", "yes")),
        ("decision_tree", (0, 1)),
        ("dummy", ("no", "yes")),
    ],
)
def test_every_classifier_is_stored_and_answers_new_categories_and_gaps(
    tmp_path: Path, estimator: str, labels: tuple[Any, Any]
) -> None:
    frame = table()
    frame["bought"] = frame["bought"].map({"no": labels[0], "yes": labels[1]})
    params = {"n_estimators": 5} if estimator in {"random_forest", "extra_trees"} else {}
    declared = spec(train={"estimator": estimator, "params": params})
    report = training(tmp_path, declared, frame)
    scorer = load_model(tmp_path / "out" / "model")
    rows = pd.DataFrame(
        {
            "size": [None, 0.5, np.inf],
            "color": ["ultraviolet", None, "red"],
            "noise": [0, 1, 2],
            "is_new": [True, None, "false"],
        }
    )
    answers, chances = scorer.predict(rows), scorer.predict_proba(rows)
    assert set(answers.tolist()) <= set(labels)
    assert chances is not None
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert report.classes == tuple(str(c) for c in scorer.classes)
    assert scorer.classes == tuple(int(c) if isinstance(c, float) else c for c in labels)


@pytest.mark.parametrize(
    "estimator", ["hist_gradient_boosting", "random_forest", "extra_trees", "decision_tree", "ridge", "dummy"]
)
def test_every_regressor_is_stored_and_answers(tmp_path: Path, estimator: str) -> None:
    frame = table().assign(bought=lambda f: f["noise"] * 3 + (f["color"] == "red"))
    params = {"n_estimators": 5} if estimator in {"random_forest", "extra_trees"} else {}
    declared = spec(task="regression", gates=[{"metric": "mae"}], train={"estimator": estimator, "params": params})
    report = training(tmp_path, declared, frame)
    assert report.metrics["mae"] is not None
    scorer = load_model(tmp_path / "out" / "model")
    assert np.isfinite(scorer.predict(frame.head(5))).all()
    assert scorer.predict_proba(frame.head(5)) is None


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        output = call(train, tmp_path / place, spec())
        digests.append(
            {name: artefact_of(path, tmp_path / place / "out").sha256 for name, path in output.outputs.items()}
        )
    assert digests[0] == digests[1]
    assert set(digests[0]) == {"model", "references", "holdout"}


def test_the_same_model_of_a_later_run_is_the_same_artefact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a version that was rolled back would come again under another digest."""
    digests = set()
    for place, day in (("a", 1), ("b", 8)):
        monkeypatch.setitem(globals(), "AS_OF", datetime(2024, 3, day, tzinfo=timezone.utc))
        (tmp_path / place).mkdir()
        output = call(train, tmp_path / place, spec())
        digests.add(artefact_of(output.outputs["model"], tmp_path / place / "out").sha256)
    assert len(digests) == 1


def test_mlflow_loads_the_stored_model_and_agrees_with_us(tmp_path: Path) -> None:
    import mlflow.pyfunc

    training(tmp_path, spec())
    folder = tmp_path / "out" / "model"
    theirs = mlflow.pyfunc.load_model(str(folder))
    ours = load_model(folder)
    rows = ours.typed(table().tail(20))
    assert theirs.predict(rows).tolist() == ours.predict(table().tail(20)).tolist()
    assert [column.name for column in theirs.metadata.signature.inputs] == list(ours.features)


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
        ({"data": {"time": "color"}}, "whose values are no times", "data.time"),
        ({"data": {"target": "color"}}, "has 3 classes .* write task: multiclass_classification", "task"),
        (
            {"task": "regression", "gates": [{"metric": "mae"}]},
            "holds str values, no numbers|holds object values, no numbers",
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


def test_a_target_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="single class 'no'"):
        call(trial, tmp_path, spec(), table().assign(bought="no"))


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


TRAINER = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.impute import SimpleImputer

def train(frame, params, context):
    assert context.seed == 3 and context.time == "at" and "at" in frame
    numbers = frame[list(context.features)].select_dtypes("number").columns
    from sklearn.compose import make_column_transformer
    keep = make_column_transformer((SimpleImputer(), list(numbers)))
    return make_pipeline(keep, LogisticRegression(**params)).fit(frame[list(context.features)], frame[context.target])
"""
PREPARE = """
def prepare(frame):
    return frame.assign(hour=frame["at"].dt.hour, double=frame["size"] * 2).drop(columns=["noise"])
"""
OWN_CLASS = """
import numpy as np
import levels

class Majority:
    def fit(self, labels):
        self.classes_, counts = np.unique(labels, return_counts=True)
        self.shares = counts / counts.sum()
        return self
    def predict(self, frame):
        return np.full(len(frame), self.classes_[self.shares.argmax()])
    def predict_proba(self, frame):
        return np.tile(levels.same(self.shares), (len(frame), 1))

def train(frame, params, context):
    return Majority().fit(frame[context.target])
"""


def test_a_trainer_of_scikit_learn_parts_needs_no_pickle(tmp_path: Path) -> None:
    code(tmp_path, trainer=TRAINER)
    report = training(tmp_path, spec(train={"trainer": "trainer.py:train", "params": {"C": 0.5}, "seed": 3}))
    assert report.estimator == "trainer.py:train"
    scorer = load_model(tmp_path / "out" / "model")
    assert scorer.facts.storage == "skops"
    assert set(scorer.predict(table().head(9))) <= {"yes", "no"}


def test_byte_code_that_was_slipped_in_beside_a_models_code_is_not_run(tmp_path: Path) -> None:
    """No digest covers it, and Python would prefer it to the source."""
    code(tmp_path, trainer=TRAINER, prepare="def prepare(frame):\n    return frame.assign(noise=frame['noise'] + 1)\n")
    training(
        tmp_path,
        spec(
            train={"trainer": "trainer.py:train", "params": {"C": 0.5}, "seed": 3},
            data={"prepare": "prepare.py:prepare"},
        ),
    )
    folder = tmp_path / "out" / "model"
    (tmp_path / "forged.py").write_text("def prepare(frame):\n    return frame.assign(noise=-7.0)\n", encoding="utf-8")
    cache = importlib.util.cache_from_source(str(folder / "code" / "prepare.py"))
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(tmp_path / "forged.py"), cache, invalidation_mode=unchecked)
    rows = table().head(5)
    assert load_model(folder).typed(rows)["noise"].tolist() == (rows["noise"] + 1).tolist()


def test_an_object_that_only_pickle_can_store_is_refused_unless_allowed(tmp_path: Path) -> None:
    code(tmp_path, trainer=OWN_CLASS, levels="def same(x):\n    return x\n")
    declared = spec(train={"trainer": "trainer.py:train", "params": {}})
    with pytest.raises(Refused, match="only pickle can store") as caught:
        call(train, tmp_path, declared)
    assert caught.value.field == "train.allow_pickle"


def test_an_allowed_pickle_carries_its_code_along_and_is_loaded_on_request_only(tmp_path: Path) -> None:
    code(tmp_path, trainer=OWN_CLASS, levels="def same(x):\n    return x\n")
    training(tmp_path, spec(train={"trainer": "trainer.py:train", "params": {}, "allow_pickle": True}))
    folder = tmp_path / "out" / "model"
    with pytest.raises(PickleRefused, match="allow_pickle"):
        load_model(folder)
    for file in (tmp_path / "code").iterdir():
        if file.is_file():
            file.unlink()
    chances = load_model(folder, allow_pickle=True).predict_proba(table().head(2))
    assert chances is not None
    assert chances.shape == (2, 2)


def test_a_trainer_that_returns_no_model_is_refused(tmp_path: Path) -> None:
    code(tmp_path, trainer="def train(frame, params, context):\n    return 5\n")
    with pytest.raises(Refused, match="returned a int, which has no predict method"):
        call(trial, tmp_path, spec(train={"trainer": "trainer.py:train"}))


def test_prepare_runs_on_the_same_columns_in_training_and_serving(tmp_path: Path) -> None:
    code(
        tmp_path,
        prepare=PREPARE,
    )
    report = training(tmp_path, spec(data={"prepare": "prepare.py:prepare"}))
    assert {"hour", "double"} <= set(report.features)
    assert not {"noise", "at"} & set(report.features)
    (tmp_path / "code" / "prepare.py").unlink()
    scorer = load_model(tmp_path / "out" / "model")
    assert "at" in scorer.facts.inputs
    rows = table().tail(5)
    together, alone = scorer.predict_proba(rows), [scorer.predict_proba(rows.iloc[[i]]) for i in range(5)]
    assert together is not None
    np.testing.assert_allclose(together, np.concatenate([a for a in alone if a is not None]))
    reference = load_model(tmp_path / "out" / "references" / "linear")
    assert reference.predict_proba(rows) is not None, "it brings the team's code along, too"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "frame.assign(size=frame['size'] - frame['size'].mean())",
            "computed? .*from the row only|compute it from the row only",
        ),
        ("frame.dropna()", "returned [0-9]+ rows"),
        ("frame['size'].to_list()", "returned a list"),
    ],
)
def test_a_prepare_that_serving_could_not_repeat_is_refused(tmp_path: Path, body: str, words: str) -> None:
    code(tmp_path, prepare=f"def prepare(frame):\n    return {body}\n")
    with pytest.raises(Refused, match=words) as caught:
        call(trial, tmp_path, spec(data={"prepare": "prepare.py:prepare"}))
    assert caught.value.field == "data.prepare"


def test_a_model_with_types_that_are_not_on_our_list_is_not_loaded(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    training(tmp_path, spec())
    skops.io.dump(FunctionTransformer(func=print), tmp_path / "out" / "model" / "model.skops")
    with pytest.raises(ModelUnreadable, match="not on the list of trusted ones"):
        load_model(tmp_path / "out" / "model")


def test_a_folder_that_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreadable, match=r"understudy\.json is missing"):
        load_model(tmp_path)


def test_a_search_by_business_value_uses_the_declared_costs(tmp_path: Path) -> None:
    costs = {"yes": {"yes": -5, "no": 5}, "no": {"yes": 1, "no": 0}}
    declared = spec(evaluate={"value": {"costs": costs}}, gates=[{"metric": "value"}])
    report = trial_report(tmp_path, declared, number=0)
    assert report.metric == "value"
    assert report.value is not None
    assert -5 < report.value < 5


def test_a_decision_threshold_moves_answers_and_not_probabilities(tmp_path: Path) -> None:
    training(tmp_path, spec())
    scorer = load_model(tmp_path / "out" / "model")
    strict = replace(scorer, facts=scorer.facts.model_copy(update={"decision_threshold": 0.8}))
    chances = strict.predict_proba(table())
    assert chances is not None
    np.testing.assert_array_equal(strict.predict(table()) == "yes", chances[:, 1] >= 0.8)
    assert 0 < (strict.predict(table()) == "yes").sum() < (scorer.predict(table()) == "yes").sum()
