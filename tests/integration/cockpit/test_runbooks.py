"""The page that an alert's link leads to."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.integration.cockpit.api_server import caller
from understudy.contract.words import AlertKind
from understudy.ui import runbooks_page

PAGE = "/understudy/runbooks"


def test_every_kind_of_alert_has_its_place_on_the_page(server: Any) -> None:
    shown = caller(server, "viewer").get(PAGE)
    assert shown.status_code == 200
    places = set(re.findall(r'<h2 id="([a-z0-9-]+)"', shown.text))
    assert {kind.value.replace("_", "-") for kind in AlertKind} <= places
    assert set(re.findall(r'href="#([a-z0-9-]+)"', shown.text)) <= places | {"main"}


def test_what_is_written_as_a_table_is_one(server: Any) -> None:
    text = caller(server, "viewer").get(PAGE).text
    assert "<table>" in text
    assert "|---" not in text


def test_commands_that_are_wider_than_a_phone_can_have_the_focus(server: Any) -> None:
    text = caller(server, "viewer").get(PAGE).text
    assert text.count('<pre tabindex="0">') == text.count("<pre") > 10


def test_a_link_that_the_page_cannot_follow_is_text(server: Any) -> None:
    text = caller(server, "viewer").get(PAGE).text
    assert "alerts.md" in text
    assert 'href="alerts.md' not in text


def test_somebody_who_may_read_no_dag_reads_no_runbook(server: Any) -> None:
    refused = caller(server, None).get(PAGE)
    assert refused.status_code == 403
    assert "You may read no DAG here" in refused.text


def test_nobody_reads_it_without_an_account(server: Any) -> None:
    assert TestClient(server).get(PAGE).status_code == 401


def test_where_it_is_not_installed_a_sentence_says_so(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runbooks_page, "RUNBOOKS", tmp_path / "runbooks.md")
    answer = caller(server, "viewer").get(PAGE)
    assert answer.status_code == 404
    assert "AIRFLOW__UNDERSTUDY__ALERTS_RUNBOOKS" in answer.text
