"""Which trials are asked for."""

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from tests.unit.operators.price import context, declare, serve
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.operators import (
    AskTrialsOperator,
    SnapshotDataOperator,
)
from understudy.operators.trial import search_space_digest, trial_reports

pytestmark = pytest.mark.usefixtures("price_home")


SEARCH = {"search": {"max_depth": {"low": 2, "high": 9}}, "budget": 3, "parallelism": 2}


def ask(round_number: int, previous: Any = None, run_id: str = "manual__1", **form: Any) -> list[dict[str, Any]]:
    handed = {"data": "x"}
    operator = AskTrialsOperator(
        task_id=f"ask_{round_number}", model="price", data=handed, round_number=round_number, previous=previous
    )
    return operator.execute(context(run_id=run_id, **form))


def trained_before(searched: dict[str, Any]) -> None:
    spec = SnapshotDataOperator(task_id="x", model="price").declared()
    serve(3, 1)
    facts = {"searched": searched, "search_space": search_space_digest(spec), "version": 3}
    connect().ledger.append("price", EntryKind.TRAINED, "ann", "trained", run="r", facts=facts)


def report(point: dict[str, Any], value: float | None) -> dict[str, Any]:
    return {
        "number": point["number"],
        "params": point["params"],
        "metric": "roc_auc",
        "value": value,
        "rows_trained": 9,
        "rows_validated": 9,
    }


def test_a_first_model_spends_the_whole_budget_in_rounds() -> None:
    declare(train=SEARCH)
    first = ask(1)
    second = ask(2, [report(first[0], 0.7), None])
    assert (len(first), len(second)) == (2, 1)
    assert [point["number"] for point in first + second] == [0, 1, 2]
    assert ask(2, [report(first[0], 0.7), None]) == second


def test_a_known_space_starts_at_the_champions_point_and_needs_one_round() -> None:
    declare(train=SEARCH)
    trained_before({"max_depth": 5})
    first = ask(1)
    assert first[0]["params"] == {"max_depth": 5}
    assert ask(2, [report(point, 0.7) for point in first]) == []
    assert len(ask(2, [report(point, 0.7) for point in first], full_search=True)) == 1


def test_another_space_needs_a_new_search() -> None:
    declare(train=SEARCH)
    trained_before({"max_depth": 5})
    declare(train={**SEARCH, "search": {"max_depth": {"low": 2, "high": 20}}})
    first = ask(1, run_id="manual__2")
    assert len(ask(2, [report(point, 0.7) for point in first], run_id="manual__2")) == 1


def test_without_checked_data_nothing_is_asked() -> None:
    with pytest.raises(AirflowSkipException):
        AskTrialsOperator(task_id="ask_1", model="price", data=None, round_number=1).execute(context())  # type: ignore[arg-type]


def test_lost_trials_are_absent() -> None:
    point = {"number": 1, "params": {"max_depth": 2}}
    assert [r.number for r in trial_reports([None, report(point, 0.5)])] == [1]
    assert [r.number for r in trial_reports(report(point, 0.5))] == [1]
    assert trial_reports(None) == []
