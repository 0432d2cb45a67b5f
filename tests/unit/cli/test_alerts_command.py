import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.hooks.alerting.receivers import WebReceiver, web_receiver
from understudy.cli.app import app
from understudy.contract.words import EntryKind, Outcome
from understudy.hooks.connect import connect
from understudy.settings import settings


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ALERTS_TO", "hook,nobody")
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": receiver.url}))
        settings.cache_clear()
        yield receiver
        settings.cache_clear()


def type_in(*words: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["alerts", *words])
    return answer.exit_code, answer.stdout


def test_each_receiver_is_tried_and_what_fails_is_said(web: WebReceiver) -> None:
    code, told = type_in("test", "--json")
    assert code != 0
    problems = {one["receiver"]: one["problem"] for one in json.loads(told)}
    assert problems["hook"] is None
    assert "AIRFLOW_CONN_NOBODY" in problems["nobody"]
    assert [message["is_test"] for message in web.taken] == [True]


def test_the_list_says_what_was_told_and_what_waits(web: WebReceiver) -> None:
    assert type_in("list") == (0, "Nobody was told anything.\n")
    assert type_in("list", "--waiting") == (0, "Nothing waits to be told.\n")
    facts = {"outcome": Outcome.DATA_REFUSED.value}
    connect().ledger.append("price", EntryKind.CONCLUDED, "ann", "too few rows", "run1", facts)
    connect().alerts.tell()
    code, page = type_in("list")
    assert code == 0
    assert "told hook at" in page
    assert "waits for nobody until" in page
    waiting = json.loads(type_in("list", "--waiting", "--json")[1])
    assert [(one["receiver"], one["attempts"]) for one in waiting] == [("nobody", 1)]
