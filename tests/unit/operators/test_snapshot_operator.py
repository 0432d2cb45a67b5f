"""What data a retraining asks for, and under which conditions."""

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.unit.operators.price import context, declare, entries
from understudy.contract.local_run import local_run_in
from understudy.contract.words import EntryKind
from understudy.hooks.data.sources import SourceNotFound
from understudy.hooks.local_runs import alone, this_process
from understudy.operators import (
    SnapshotDataOperator,
)
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.errors import (
    GatewaysMissing,
)
from understudy.operators.run_context import run_folder

pytestmark = pytest.mark.usefixtures("price_home")


def asked(run: Any, operator: SnapshotDataOperator) -> dict[str, Any]:
    folder = run_folder(run, "price")
    request, _ = operator.build_request(run, operator.declared(), folder)
    return dict(request.params)


def test_the_window_ends_where_labels_are_final(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("up\n", encoding="utf-8")
    source = {"source": str(tmp_path / "x.csv"), "target": "up", "time": "at"}
    snapshot = SnapshotDataOperator(task_id="snapshot", model="price")
    declare(data=source)
    assert (asked(context(), snapshot)["start"], asked(context(), snapshot)["end"]) == (
        None,
        "2026-03-01T12:00:00+00:00",
    )
    declare(data={**source, "window": "30d", "label_delay": "12h"})
    params = asked(context(as_of="2026-02-01T00:00:00+02:00"), snapshot)
    assert (params["start"], params["end"]) == ("2026-01-01T10:00:00+00:00", "2026-01-31T10:00:00+00:00")
    assert params["sources"] == {"source-0.csv": "x.csv"}


def test_a_source_that_is_not_there_is_a_refusal_that_may_be_tried_again() -> None:
    pushed: dict[str, Any] = {}
    snapshot = SnapshotDataOperator(task_id="snapshot", model="price")
    with pytest.raises(SourceNotFound) as absent:
        asked(context(pushed), snapshot)
    assert not isinstance(absent.value, AirflowFailException)
    assert "/nowhere/x.csv" in pushed[REFUSAL_KEY]
    assert [entry.actor for entry in entries(EntryKind.TRIGGERED)] == ["ann"]


def test_a_served_model_without_a_gateway_fails_before_it_is_trained() -> None:
    declare(serving={})
    operator = SnapshotDataOperator(task_id="snapshot", model="price")
    with pytest.raises(GatewaysMissing, match="no gateway is known here"):
        operator.build_request(context(), operator.declared(), run_folder(context(), "price"))
    dry = context(run_id="manual__2", dry_run=True)
    with pytest.raises(SourceNotFound):  # a dry run goes on: it promotes nothing
        operator.build_request(dry, operator.declared(), run_folder(dry, "price"))


def test_a_retry_is_not_a_second_trigger() -> None:
    for _ in range(2):
        with pytest.raises(SourceNotFound):
            asked(context(reason="new tariff"), SnapshotDataOperator(task_id="snapshot", model="price"))
    assert [entry.reason for entry in entries(EntryKind.TRIGGERED)] == ["new tariff"]


def test_only_sources_on_a_network_get_one() -> None:
    snapshot = SnapshotDataOperator(task_id="snapshot", model="price")
    for source, reaches_out in (("x.csv", False), ("https://a.example/x.csv", True), ("file:///x.csv", False)):
        declare(data={"source": source, "target": "up"}, split={"method": "random"})
        assert snapshot.reaches_out(snapshot.declared()) is reaches_out


def test_a_database_s_address_goes_to_standard_input_and_not_into_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MARKET", "postgres://ann:open-sesame@db/market")
    declare(data={"query": "SELECT 1", "connection": "market", "target": "up", "time": "at"})
    snapshot, run = SnapshotDataOperator(task_id="snapshot", model="price"), context()
    request, inputs = snapshot.build_request(run, snapshot.declared(), run_folder(run, "price"))
    assert "open-sesame" not in request.model_dump_json()
    assert inputs == {}
    told = snapshot.secrets(run, snapshot.declared())["connection_url"]
    assert told.get_secret_value() == "postgresql+psycopg://ann:open-sesame@db/market"
    assert snapshot.reaches_out(snapshot.declared())


def test_a_run_without_a_scheduler_says_where_it_can_be_told_whether_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("up\n", encoding="utf-8")
    declare(data={"source": str(tmp_path / "x.csv"), "target": "up", "time": "at"})
    snapshot = SnapshotDataOperator(task_id="snapshot", model="price")
    asked(context(), snapshot)
    run = context(run_id="manual__2")
    with alone(tmp_path, "retrain__price"):
        asked(run, snapshot)
        here = this_process(tmp_path, "retrain__price")
    by_scheduler, local = (local_run_in(entry) for entry in entries(EntryKind.TRIGGERED))
    assert by_scheduler is None
    assert local == here is not None
