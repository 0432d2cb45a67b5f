"""A stored model: any estimator's can be stored, to the same bytes each time, and answers as it did in training."""

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.stages.shop import call, spec, table, training
from understudy.contract.stage import artefact_of
from understudy.stages.model.model_files import ModelUnreadable, load_model
from understudy.stages.train import run as train


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
        monkeypatch.setattr("tests.unit.stages.shop.AS_OF", datetime(2024, 3, day, tzinfo=timezone.utc))
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


def test_a_decision_threshold_moves_answers_and_not_probabilities(tmp_path: Path) -> None:
    training(tmp_path, spec())
    scorer = load_model(tmp_path / "out" / "model")
    strict = replace(scorer, facts=scorer.facts.model_copy(update={"decision_threshold": 0.8}))
    chances = strict.predict_proba(table())
    assert chances is not None
    np.testing.assert_array_equal(strict.predict(table()) == "yes", chances[:, 1] >= 0.8)
    assert 0 < (strict.predict(table()) == "yes").sum() < (scorer.predict(table()) == "yes").sum()
