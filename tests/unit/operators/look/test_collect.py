"""What a look reads in the place of the source."""

from typing import Any

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.words import Watched
from understudy.operators.look.collect import monitored, scored_as_source


def test_a_model_of_undated_rows_has_dated_answers() -> None:
    body: dict[str, Any] = {
        "model": "m", "owner": "o", "task": "regression", "gates": [{"metric": "mae"}],
        "data": {"source": "x.csv", "target": "y"}, "split": {"method": "random"},
        "monitor": {"scored": {"source": "scored-*.csv", "time": "at", "prediction": "said"}},
    }  # fmt: skip
    spec = ModelSpec.model_validate(body)
    monitor, watched = monitored(spec)
    assert watched is Watched.SCORED
    read = ModelSpec.model_validate(scored_as_source(spec, monitor).model_dump(mode="json"))
    assert (read.data.source, read.data.time, read.data.target) == ("scored-*.csv", "at", "y")
