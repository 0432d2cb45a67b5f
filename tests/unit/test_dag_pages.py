"""What a DAG's page says of one model holds for that model."""

from typing import Any

import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.dag_pages import retraining_page


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
