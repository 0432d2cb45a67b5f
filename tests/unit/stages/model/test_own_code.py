"""A team's own code: what it trains, what it prepares, and what is refused of it."""

import importlib.util
import py_compile
from pathlib import Path

import numpy as np
import pytest

from tests.unit.stages.shop import call, code, spec, table, training, trial_report
from understudy.stages.context import Refused
from understudy.stages.model.model_files import PickleRefused, load_model
from understudy.stages.train import run as train
from understudy.stages.trial import run as trial

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


def test_an_object_that_only_pickle_can_store_is_refused_by_the_first_trial(tmp_path: Path) -> None:
    code(tmp_path, trainer=OWN_CLASS, levels="def same(x):\n    return x\n")
    with pytest.raises(Refused, match="only pickle can store") as caught:
        trial_report(tmp_path, spec(train={"trainer": "trainer.py:train", "params": {}}))
    assert caught.value.field == "train.allow_pickle"
    allowed = spec(train={"trainer": "trainer.py:train", "params": {}, "allow_pickle": True})
    assert trial_report(tmp_path, allowed).value is not None


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


@pytest.mark.parametrize("arguments", ["", "frame, params", "frame, params, context, more"])
def test_a_trainer_of_other_arguments_is_refused_with_what_it_is_called_with(tmp_path: Path, arguments: str) -> None:
    code(tmp_path, trainer=f"def train({arguments}):\n    return 1\n")
    with pytest.raises(Refused, match=r"trainer\.py:train is called as train\(frame, params, context\), and does not"):
        call(trial, tmp_path, spec(train={"trainer": "trainer.py:train"}))


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
