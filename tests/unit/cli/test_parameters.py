"""Parameters that do not exist are found before anything runs."""

from typing import Any

import pytest

from understudy.cli.parameters import parameter_problems
from understudy.contract.declaration.spec import ModelSpec


def declared(**sections: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "price", "owner": "market-ml", "task": "binary_classification",
            "data": {"source": "x.csv", "target": "up", "time": "at"}, "gates": [{"metric": "roc_auc"}], **sections,
        }
    )  # fmt: skip


def test_a_misspelt_parameter_is_named_with_its_field_and_the_nearest_one() -> None:
    train = {
        "estimator": "random_forest", "params": {"n_estimator": 5, "max_depth": 3},
        "search": {"max_dept": {"choices": [3, 5]}},
    }  # fmt: skip
    assert parameter_problems(declared(train=train)) == [
        "train.params.n_estimator: random_forest has no such parameter; did you mean 'n_estimators'?",
        "train.search.max_dept: random_forest has no such parameter; did you mean 'max_depth'?",
    ]


@pytest.mark.parametrize(
    "sections",
    [
        {"train": {"params": {"max_iter": 50}}},
        {"train": {"trainer": "trainer.py:train", "params": {"whatever": 1}}},
        {"train": {"params": {"newer": 1}}, "runtime": {"image": "team/newer:1"}},
        {"train": {"params": {"newer": 1}}, "stages": {"train": {"image": "team/newer:1"}}},
    ],
    ids=["right", "a-trainer", "an-image", "an-image-of-the-training"],
)
def test_what_is_right_or_only_the_team_s_code_can_know_is_left_alone(sections: dict[str, Any]) -> None:
    assert parameter_problems(declared(**sections)) == []
