"""Where an alert's links lead."""

from collections.abc import Callable

import pytest

from understudy.contract.words import AlertKind
from understudy.hooks.alerting import pages as alert_pages
from understudy.hooks.alerting.pages import page_of, runbooks_page
from understudy.hooks.alerting.terms import alert_terms
from understudy.settings import Settings, settings

Told = Callable[[str, str], None]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    def tell(airflow: str, pages: str) -> None:
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", airflow)
        monkeypatch.setattr(alert_pages, "settings", lambda: Settings(airflow_pages=pages))

    return tell


def test_links_begin_with_the_address_that_airflow_knows(told: Told) -> None:
    told("https://airflow.example.com/", "http://localhost:9999")
    assert page_of("price", 7) == "https://airflow.example.com/understudy/models/price/cards/7"
    assert runbooks_page() == "https://airflow.example.com/understudy/runbooks"


def test_an_airflow_that_does_not_know_its_address_is_told_it_for_links(told: Told) -> None:
    told("", "http://localhost:9999/")
    assert page_of("price") == "http://localhost:9999/understudy/models/price"
    assert runbooks_page() == "http://localhost:9999/understudy/runbooks"


def test_without_any_address_a_runbook_is_named_and_a_card_is_not_linked(told: Told) -> None:
    told("", "")
    assert page_of("price", 7) is None
    assert runbooks_page() == "docs/runbooks.md"


def test_a_deployment_that_keeps_its_own_runbooks_points_there(told: Told) -> None:
    told("https://airflow.example.com", "")
    terms = alert_terms(settings(), "")
    kept = terms.runbook_of(AlertKind.GATEWAY_DEAD, "https://wiki.example.com/runbooks")
    assert kept == "https://wiki.example.com/runbooks#gateway-dead"
    assert terms.runbook_of(AlertKind.GATEWAY_DEAD, "").endswith("/understudy/runbooks#gateway-dead")
