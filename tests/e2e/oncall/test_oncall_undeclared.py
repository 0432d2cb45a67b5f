"""A model that still serves when its folder is deleted: nothing retrains it, and it can be wrong all the same."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.airflow_site import Site, wait
from tests.e2e.oncall.models import answering, champions, promote_another_version
from tests.e2e.oncall.people import ONCALL, open_model, press, somebody
from understudy.contract.words import EntryKind
from understudy.embedded.airflow_api import Asked
from understudy.hooks.connect import connect

pytestmark = pytest.mark.e2e

REASON = "nobody looks after it any more, and callers complain"


def test_what_serves_and_is_no_longer_declared_is_taken_back_from_its_page(site: Site, vote_asks: Asked) -> None:
    with undeclared(site, "vote"), somebody(site, ONCALL) as page:
        bad, before = promote_another_version("vote"), champions("vote")
        wait(lambda: answering(site, "vote") == (200, str(bad)), 60)
        site.forget("retrain__vote")
        open_model(page, "vote")
        page.find(".head .quiet", "not declared (any more)")
        offered = [button.text for button in page.driver.find_elements("css selector", ".actions button")]
        assert "Roll back" in offered
        assert "Retrain now" not in offered
        would = f"goes back from version {bad} to version 2"
        press(page, "Roll back", REASON, would=would, told="version 2 of vote is champion again")
        page.find("dd", "version 2")
        assert champions("vote") == [*before, 2]
        newest = site.entries("vote", EntryKind.DEPLOYED)[-1]
        assert (newest.actor, newest.reason, newest.facts["dag_id"]) == (ONCALL, REASON, "rollback")
        assert connect().ledger.verify().ok
        wait(lambda: answering(site, "vote") == (200, "2"), 60)


@contextmanager
def undeclared(site: Site, model: str) -> Iterator[None]:
    """Take a model's folder away for a while."""
    folder, away = site.home / "models" / model, site.home / f"{model}-away"
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)
