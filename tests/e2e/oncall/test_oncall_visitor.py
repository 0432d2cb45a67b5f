"""Whoever may only look: sees everything, and changes nothing."""

from pathlib import Path

import pytest

from tests.e2e.airflow_site import Site
from tests.e2e.oncall.people import VISITOR, begin, open_model, open_page, somebody
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect

pytestmark = pytest.mark.e2e

REACHABLE: dict[str, list[str]] = {"light": [], "dark": []}


def test_who_may_only_look_sees_everything_and_changes_nothing(bad_champion: Site, tmp_path: Path) -> None:
    before = len(connect().ledger.entries())
    with somebody(bad_champion, VISITOR) as page:
        open_page(page)
        assert page.unreachable_by_theme() == REACHABLE
        open_page(page, f"understudy/models/demand/cards/{bad_champion.entries('demand', EntryKind.MONITORED)[-1].seq}")
        assert page.unreachable_by_theme() == REACHABLE
        open_model(page, "demand")
        page.find("p", "You can see everything and change nothing")
        buttons = page.driver.find_elements("css selector", ".actions button")
        assert len(buttons) > 2
        assert not any(button.is_enabled() for button in buttons)
        assert page.unreachable_by_theme() == REACHABLE
        page.picture(tmp_path / "visitor.png")
        page.enter_frame()
        # Whoever takes the bars away is refused all the same, and told so.
        page.driver.execute_script(
            "document.querySelectorAll('.actions button').forEach((one) => one.disabled = false)"
        )
        begin(page, "Hold", "because I can")
        page.find("#act-dry").click()
        page.find("#act-answer .bad", "Your role may not do this")
        # The session ends while somebody types: the way back is a tab of its own, and the reason stays.
        page.driver.delete_all_cookies()
        page.find("#act-dry").click()
        page.find("#act-answer .bad", "You are not logged in any more")
        page.find("#act-answer .bad a", "Log in").click()
        page.until(lambda driver: len(driver.window_handles) == 2, "the tab to log in")
        assert page.find("#act-reason").get_attribute("value") == "because I can"
    assert len(connect().ledger.entries()) == before
