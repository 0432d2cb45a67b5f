"""A run that events have started and that has nothing to do: it ends at once, and says why."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.operators.live_traffic import declare, entries
from understudy.contract.cause import Cause
from understudy.contract.words import EntryKind, Outcome, Trigger
from understudy.hooks.data.sources import SourceNotFound
from understudy.operators import ConcludeOperator, SnapshotDataOperator
from understudy.operators.decisions import HELD_BACK_KEY
from understudy.operators.errors import RetrainingHeldBack
from understudy.operators.run_context import run_folder
from understudy.settings import settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    settings.cache_clear()
    declare(serving=None)
    yield tmp_path
    settings.cache_clear()


def asset_run(run_id: str, *, later: timedelta = timedelta(), pushed: dict[str, Any] | None = None) -> Any:
    told = {} if pushed is None else pushed
    now = datetime.now(timezone.utc) + later
    event = SimpleNamespace(extra={"from_rest_api": True}, timestamp=now, source_dag_id=None)
    return {
        "ti": SimpleNamespace(
            xcom_push=lambda key, value: told.update({key: value}), xcom_pull=lambda task_ids, key: told.get(key)
        ),
        "run_id": run_id,
        "dag_run": SimpleNamespace(
            run_type="asset_triggered", triggering_user_name=None, run_after=now, consumed_asset_events=[event]
        ),
        "params": {},
        "dag": SimpleNamespace(dag_id="retrain__price"),
    }


def begin(context: Any) -> None:
    """Begin a retraining; its source is not there, which it notices only after it was recorded."""
    operator = SnapshotDataOperator(task_id="snapshot", model="price")
    with pytest.raises(SourceNotFound):
        operator.build_request(context, operator.declared(), run_folder(context, "price"))


def test_the_second_of_two_runs_within_the_cool_down_retrains_nothing() -> None:
    begin(asset_run("asset__1"))
    pushed: dict[str, Any] = {}
    second = asset_run("asset__2", pushed=pushed)
    operator = SnapshotDataOperator(task_id="snapshot", model="price")
    with pytest.raises(RetrainingHeldBack, match="within the cool-down of 1d"):
        operator.build_request(second, operator.declared(), run_folder(second, "price"))
    (began,) = entries(EntryKind.TRIGGERED)
    assert Cause.model_validate(began.facts["cause"]).reasons == (Trigger.EXTERNAL,)

    outcome = conclude(second)
    assert outcome["outcome"] == Outcome.HELD_BACK
    assert outcome["sentence"].startswith(pushed[HELD_BACK_KEY])
    assert outcome["sentence"].endswith("started by external: another system asks for it")
    assert entries(EntryKind.CONCLUDED)[0].reason == outcome["sentence"]


def test_a_retry_of_the_run_that_retrains_goes_on() -> None:
    for _ in range(2):
        begin(asset_run("asset__1"))
    assert len(entries(EntryKind.TRIGGERED)) == 1


def test_after_the_cool_down_another_system_is_heard_again() -> None:
    begin(asset_run("asset__1"))
    begin(asset_run("asset__2", later=timedelta(days=2)))
    assert len(entries(EntryKind.TRIGGERED)) == 2


def conclude(context: Any) -> dict[str, Any]:
    from airflow.sdk import DAG

    with DAG(dag_id="retrain__price", schedule=None):
        snapshot = SnapshotDataOperator(task_id="snapshot", model="price")
        outcome = ConcludeOperator(task_id="outcome", model="price", evaluated=None, deployed=None)
        snapshot >> outcome
    return dict(outcome.execute(context))
