"""A look that says that a champion has to go is as good as a guard: what it could not do is done or told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.hooks.alerting.receivers import WebReceiver, web_receiver
from tests.unit.operators.known_runs import KnownRuns, known_runs
from tests.unit.operators.live_traffic import current, declare, entries, serve
from tests.unit.operators.look.look import MONITOR, Run, drift, quality
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import connect
from understudy.operators.sweep.sweep import SweepAlertsOperator
from understudy.settings import settings

pytestmark = pytest.mark.usefixtures("look_home")
DAG = "monitor__price"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ALERTS_TO", "hook")
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": receiver.url}))
        settings.cache_clear()
        declare(monitor=MONITOR, guard={"probation": "7d"})
        serve(1)
        serve(2)
        yield receiver


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> KnownRuns:
    return known_runs(monkeypatch)


def sweep(airflow: KnownRuns) -> None:
    SweepAlertsOperator(task_id="sweep").execute(airflow.context())


def rollbacks_told(web: WebReceiver) -> list[dict[str, Any]]:
    return [told for told in web.taken if told["kind"] in {"rolled_back", "rollback_failed"}]


def test_what_a_killed_look_found_out_is_taken_back_by_the_next_sweep(
    web: WebReceiver, airflow: KnownRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("understudy.operators.look.decide.take_back", killed)
        with pytest.raises(KeyboardInterrupt):
            Run("look1").decide(drift(), quality(loss=0.9), version=2, since=2)
    airflow.add(DAG, "look1", "failed", {"decide": "failed"})
    for _ in range(2):
        sweep(airflow)
    back = entries(EntryKind.DEPLOYED)[-1]
    assert (current().change, current().champion.version, back.actor) == (Change.ROLLBACK, 1, "monitor")
    assert "lost its quality within its probation (ledger entry " in back.reason
    assert [told["kind"] for told in rollbacks_told(web)] == ["rolled_back"]


def test_a_look_whose_rollback_was_refused_is_told_as_critical(web: WebReceiver, airflow: KnownRuns) -> None:
    connect().ledger.append("price", EntryKind.LOCKED, "ann", "the auditors look at it", facts={"version": 2})
    Run("look1").decide(drift(), quality(loss=0.9), version=2, since=2)
    airflow.add(DAG, "look1", "success", {"decide": "success"})
    for _ in range(2):
        sweep(airflow)
    assert current().champion.version == 2
    (told,) = rollbacks_told(web)
    assert (told["kind"], told["severity"]) == ("rollback_failed", "critical")
    assert told["sentence"].startswith("price: version 2 has to go and was NOT taken back, it still serves: ")
