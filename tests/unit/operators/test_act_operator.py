"""What a form does: as the person who sent it, whatever else stands in it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from understudy.contract.airflow_run import AirflowRun, airflow_run_in
from understudy.contract.words import Action, EntryKind
from understudy.hooks.connect import connect
from understudy.operators import ActOperator
from understudy.operators.errors import ActRefused
from understudy.settings import settings
from understudy.workspace import run_key


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    settings.cache_clear()
    connect().ledger.append("price", EntryKind.TRIGGERED, "ann", "the first run")
    yield tmp_path
    settings.cache_clear()


def execute(action: Action, **given: Any) -> dict[str, Any]:
    run = SimpleNamespace(run_type="manual", triggering_user_name="ann")
    ti = SimpleNamespace(xcom_push=lambda key, value: None)
    context: Any = {"ti": ti, "dag_run": run, "run_id": "manual__1", "params": {}}
    context["dag"] = SimpleNamespace(dag_id=action.value)
    operator = ActOperator(task_id="act", action=action.value, model="price", **{"reason": "audit", **given})
    return operator.execute(context)


def test_the_actor_is_who_triggered_the_run() -> None:
    assert execute(Action.HOLD)["action"] == "hold"
    (entry,) = connect().ledger.entries("price", [EntryKind.HELD])
    assert (entry.actor, entry.reason, entry.run) == ("ann", "audit", run_key("manual__1"))
    assert airflow_run_in(entry.facts) == AirflowRun(dag_id="hold", run_id="manual__1")


@pytest.mark.parametrize("is_dry_run", [True, "True", "true"])
def test_a_dry_run_says_what_would_happen(is_dry_run: Any) -> None:
    acted = execute(Action.HOLD, is_dry_run=is_dry_run)
    assert (acted["is_dry_run"], "price is held" in acted["sentence"]) == (True, True)
    assert connect().deployments.held("price") is None


@pytest.mark.parametrize(
    ("action", "given", "told"),
    [
        (Action.RELEASE, {}, "release of 'price': Nobody holds price"),
        (Action.LOCK, {"version": "the good one"}, "neither 'champion' nor a version number"),
        (Action.LOCK, {"version": "²"}, "neither 'champion' nor a version number"),
        (Action.HOLD, {"reason": "  "}, "needs a reason"),
    ],
)
def test_a_refusal_is_one_sentence_and_is_not_tried_again(action: Action, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ActRefused, match=told) as refused:
        execute(action, **given)
    assert isinstance(refused.value, AirflowFailException)
