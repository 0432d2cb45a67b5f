"""Every action of the page, by whoever may do it; what is said where it is not done."""

import pytest

from tests.e2e.airflow_site import Site, wait
from tests.e2e.oncall.models import rehearse_another_version
from tests.e2e.oncall.people import ONCALL, begin, open_model, press, somebody
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect

pytestmark = pytest.mark.e2e


def test_every_action_of_the_page_is_done_by_whoever_pressed_it(bad_champion: Site) -> None:
    rehearse_another_version("demand")
    with somebody(bad_champion, ONCALL) as page:
        open_model(page, "demand")
        press(page, "Stop what is tried", "it slows us", would="no longer answers", told="no longer answers")
        press(page, "Hold", "stocktaking", would="demand is held", told="demand is held")
        page.find(".notice", "stocktaking")
        press(page, "Release", "it is over", would="is released", told="is released")
        press(page, "Lock", "the audit", would="is locked", told="is locked")
        press(page, "Unlock", "the audit is over", would="can be replaced", told="can be replaced")
        page.find(".actions button", "Lock")
    kinds = (EntryKind.HELD, EntryKind.RELEASED, EntryKind.LOCKED, EntryKind.UNLOCKED)
    done = [(entry.kind, entry.actor, entry.reason) for kind in kinds for entry in bad_champion.entries("demand", kind)]
    reasons = ("stocktaking", "it is over", "the audit", "the audit is over")
    assert done == [(kind, ONCALL, reason) for kind, reason in zip(kinds, reasons, strict=True)]
    ended = bad_champion.entries("demand", EntryKind.DEPLOYED)[-1]
    assert (ended.actor, ended.reason) == (ONCALL, "it slows us")
    assert connect().deployments.current("demand").mirror is None  # type: ignore[union-attr]


def test_a_reason_that_is_too_long_is_said_and_not_cut(bad_champion: Site) -> None:
    before = len(bad_champion.runs_of("hold"))
    with somebody(bad_champion, ONCALL) as page:
        open_model(page, "demand")
        page.find(".actions button", "Hold").click()
        page.driver.execute_script("document.getElementById('act-reason').value = 'x'.repeat(10000)")
        page.find("#act-dry").click()
        page.find("#act-answer", "The reason has 10,000 characters; 1,000 are allowed.")
        assert not page.find("#act-do").is_enabled()
    assert len(bad_champion.runs_of("hold")) == before


def test_a_long_reason_that_ends_in_a_picture_is_taken_and_one_that_nobody_sees_is_not(bad_champion: Site) -> None:
    with somebody(bad_champion, ONCALL) as page:
        open_model(page, "demand")
        page.find(".actions button", "Hold").click()
        write = "document.getElementById('act-reason').value = "
        page.driver.execute_script(f"{write} '\\u200b\\u3164 \\ufe0f'")
        page.find("#act-dry").click()
        page.find("#act-answer", "Say in a sentence why")
        # A picture is two units of a script's text, and a note in Airflow ends in the middle of this one.
        page.driver.execute_script(f"{write} 'a'.repeat(890) + '\\u{{1f525}}'.repeat(20)")
        page.find("#act-dry").click()
        page.find("#act-answer .notice", "This would happen: demand is held")


def test_a_dry_run_that_ends_late_says_nothing_in_another_dialog(bad_champion: Site) -> None:
    with somebody(bad_champion, ONCALL) as page:
        open_model(page, "demand")
        begin(page, "Hold", "stocktaking")
        page.find("#act-dry").click()
        page.find("#act-close").click()
        page.find(".actions button", "Lock").click()
        begun = bad_champion.runs_of("hold")[-1]["dag_run_id"]
        wait(lambda: {run["dag_run_id"]: run["state"] for run in bad_champion.runs_of("hold")}[begun] == "success", 120)
        # The script asks once a second; the answer to its last question is read by the next press.
        page.find("#act-reason").send_keys("the audit")
        page.find("#act-dry").click()
        assert "is locked" in page.find("#act-answer .notice", "This would happen").text


def test_an_action_needs_no_mouse_and_leaves_the_reader_where_they_were(bad_champion: Site) -> None:
    from selenium.webdriver.common.keys import Keys

    with somebody(bad_champion, ONCALL) as page:
        open_model(page, "demand")

        def at() -> str:
            found: str = page.driver.switch_to.active_element.get_attribute("id")
            return found

        def press_key(key: str) -> None:
            page.driver.switch_to.active_element.send_keys(key)

        page.find(".actions button", "Hold").send_keys(Keys.ENTER)
        page.until(lambda _: at() == "act-reason", "the reason under the cursor")
        press_key("no mouse at hand")
        for _ in range(5):
            press_key(Keys.TAB)
            if at() == "act-dry":
                break
        press_key(Keys.ENTER)
        page.find("#act-answer .notice", "This would happen: demand is held")
        page.until(lambda _: at() == "act-do", "the press itself under the cursor")
        press_key(Keys.ESCAPE)
        page.until(lambda driver: driver.switch_to.active_element.text == "Hold", "the cursor where it was")
