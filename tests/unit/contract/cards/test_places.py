"""Where a card's links lead, for whoever can reach which pages."""

import pytest

from understudy.contract.cards.links import Link
from understudy.contract.cards.places import NOWHERE, Pages, place_of
from understudy.contract.words import LinkKind

PAGES = Pages(own="https://airflow/understudy", airflow="https://airflow", mlflow="https://mlflow")
NAMES = {
    LinkKind.DAG_RUN: "rollback/manual__2026-01-01T00:00:00+00:00",
    LinkKind.REPORT: "price/8",
    LinkKind.LOOK_REPORT: "price/4/drift",
    LinkKind.MODEL_VERSION: "price/8",
    LinkKind.DATA_VERSION: "abab",
    LinkKind.WINDOW: "Monday to Friday",
    LinkKind.RUN: "run1",
}


@pytest.mark.parametrize(
    ("kind", "name", "address"),
    [
        (
            LinkKind.DAG_RUN,
            "manual__2026-01-01T00:00:00+00:00",
            "https://airflow/dags/rollback/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00",
        ),
        (LinkKind.REPORT, "version 8", "https://airflow/understudy/models/price/versions/8/report"),
        (LinkKind.LOOK_REPORT, "drift", "https://airflow/understudy/models/price/looks/4/drift"),
        (LinkKind.MODEL_VERSION, "version 8", "https://mlflow/#/models/price/versions/8"),
        (LinkKind.DATA_VERSION, "abab", None),
        (LinkKind.WINDOW, "Monday to Friday", None),
        (LinkKind.RUN, "run1", None),
    ],
)
def test_each_link_leads_to_its_page_or_is_a_name(kind: LinkKind, name: str, address: str | None) -> None:
    place = place_of(Link(kind=kind, name=NAMES[kind], about="version 8"), PAGES)
    assert (place.name, place.address, place.about) == (name, address, "version 8")
    assert place.is_in_airflow is (kind is LinkKind.DAG_RUN)


@pytest.mark.parametrize("kind", LinkKind)
def test_pages_that_nobody_can_reach_are_no_links(kind: LinkKind) -> None:
    assert place_of(Link(kind=kind, name=NAMES[kind]), NOWHERE).address is None


def test_airflow_may_lie_at_the_root() -> None:
    place = place_of(Link(kind=LinkKind.DAG_RUN, name="hold/x"), Pages(airflow=""))
    assert place.address == "/dags/hold/runs/x"
