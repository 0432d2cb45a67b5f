"""Each setting and each metric that a page names exists."""

import re
from pathlib import Path

import pytest

from tests.unit.documentation.pages import IDS, PAGES, text_of
from understudy.exporter.measures import MEASURES as EXPORTED
from understudy.gateway.measures import MEASURES as SHOWN
from understudy.hooks.code_version import BUILT_FROM
from understudy.settings import PROJECT

SETTINGS = set(re.findall(r"^# ([A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
OF_THE_STACK = "".join(
    path.read_text(encoding="utf-8")
    for path in (PROJECT / "docker-compose.yaml", *sorted((PROJECT / "include" / "stack").glob("*.example")))
)
METRICS = {name for metric in (*EXPORTED, *SHOWN) for name in (metric.name, *metric.series)}
NO_METRICS = {"understudy_check", "understudy_drill", "understudy_plugin"}
ANY = "AIRFLOW__UNDERSTUDY__X"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_setting_that_a_page_names_can_be_set(page: Path) -> None:
    named = set(re.findall(r"\b(?:AIRFLOW__)?UNDERSTUDY_[A-Z0-9_]+", text_of(page))) - {ANY, BUILT_FROM}
    assert named - SETTINGS == set()
    of_the_stack = set(re.findall(r"\b(?:STACK|ALERTMANAGER)_[A-Z0-9_]+\b", text_of(page)))
    assert {name for name in of_the_stack if name not in OF_THE_STACK} == set()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_metric_that_a_page_names_is_shown(page: Path) -> None:
    assert set(re.findall(r"\bunderstudy_[a-z_]+", text_of(page))) - METRICS - NO_METRICS == set()
