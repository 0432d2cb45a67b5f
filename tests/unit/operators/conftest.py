"""What operators of the loop stand on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.hooks.alerting.receivers import WebReceiver, web_receiver
from tests.unit.operators import live_traffic
from tests.unit.operators.approval import approval_desk
from tests.unit.operators.known_runs import AIRFLOW, KnownRuns, known_runs
from tests.unit.operators.look import look
from tests.unit.operators.price import Registry, declare
from tests.unit.operators.probe import CODE
from understudy.contract.words import Isolation
from understudy.hooks.connect import connect
from understudy.runners.choose import choose_runner
from understudy.settings import settings


@pytest.fixture(autouse=True)
def _no_scheduler_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.operators.settle.SETTLES_S", 0.0)


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def airflow(tmp_path: Path, web: WebReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[KnownRuns]:
    """Give an Airflow whose runs a test tells, and somebody at ``web`` whom alerts tell."""
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ALERTS_TO", "hook")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", AIRFLOW)
    monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": web.url}))
    settings.cache_clear()
    yield known_runs(monkeypatch)
    settings.cache_clear()


@pytest.fixture
def price_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setattr("understudy.hooks.registry.registry.Registry", lambda *_, **__: Registry())
    settings.cache_clear()
    declare()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def probe_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "process")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    settings.cache_clear()
    code = tmp_path / "workspace" / "code"
    code.mkdir(parents=True)
    (code / "probe.py").write_text(CODE)
    yield tmp_path
    runner = choose_runner(Isolation.PROCESS, settings())
    for left in runner.leftovers():
        runner.kill(left["id"])
    settings.cache_clear()


@pytest.fixture
def look_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setattr("understudy.hooks.registry.registry.Registry", lambda *_, **__: look.Registry())
    settings.cache_clear()
    settings().workspace_dir.mkdir()
    look.TRACED.clear()
    look.KEPT.clear()
    live_traffic.declare(serving=None, monitor=look.MONITOR)
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def desk(price_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[approval_desk.Desk]:
    """Let version 7 of price be blessed while version 3 serves; afterwards, the ledger must be whole."""
    desk = approval_desk.Desk()
    monkeypatch.setattr(
        "understudy.operators.approval.approval.upsert_hitl_detail", lambda **detail: desk.shown.append(detail)
    )
    approval_desk.declare()
    approval_desk.serve(3, 2)
    approval_desk.bless()
    yield desk
    assert connect().ledger.verify().ok
