"""What a DAG's page says of one model holds for that model."""

from pathlib import Path
from typing import Any

import pytest

from understudy.contract.declaration.gates import Gate
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.errors import SpecProblem
from understudy.dag_pages import broken_page, gate_in_words, retraining_page


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"data": {"source": "x.csv", "target": "up", "time": "at"}}, "on the newest 20% of the rows, unseen"),
        ({"data": {"source": "x.csv", "target": "up"}, "split": {"method": "random"}}, "on 20% of the rows, unseen"),
    ],
    ids=["dated", "undated"],
)
def test_only_dated_rows_have_a_newest_part(sections: dict[str, Any], told: str) -> None:
    spec = ModelSpec.model_validate(
        {
            "model": "price", "owner": "market-ml", "task": "binary_classification",
            "gates": [{"metric": "roc_auc", "floor": 0.7}], **sections,
        }
    )  # fmt: skip
    assert told in retraining_page(spec)


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ({"metric": "size_mb", "ceiling": 50}, "`size_mb`: at most 50"),
        (
            {"metric": "roc_auc", "floor": 0.7},
            "`roc_auc`: at least 0.7, provably not more than 1.0% worse than the champion",
        ),
        ({"metric": "roc_auc", "min_gain": 0.01}, "`roc_auc`: provably more than 0.01 better than the champion"),
    ],
)
def test_a_gate_says_what_is_judged_and_no_more(gate: dict[str, Any], told: str) -> None:
    assert gate_in_words(Gate.model_validate(gate)) == told


def test_each_page_says_where_the_runbooks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.test")
    spec = {
        "model": "price", "owner": "market-ml", "task": "binary_classification", "runbook": "https://wiki.test/price",
        "data": {"source": "x.csv", "target": "up", "time": "at"}, "gates": [{"metric": "roc_auc"}],
    }  # fmt: skip
    page = retraining_page(ModelSpec.model_validate(spec))
    assert "https://airflow.test/understudy/runbooks" in page
    assert "https://wiki.test/price" in page
    broken = broken_page("price", SpecProblem(Path("model.yaml"), None, "", "it is empty"))
    assert "https://airflow.test/understudy/runbooks" in broken
