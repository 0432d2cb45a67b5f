"""What a retraining asks people, and what comes of their answers."""

from pathlib import Path

import pytest

from tests.e2e.airflow_site import Site
from tests.e2e.browser import Page
from tests.e2e.oncall.models import OLD
from tests.e2e.oncall.people import ONCALL, answer, open_model, somebody
from understudy.contract.words import EntryKind
from understudy.embedded.passwords import ADMIN

pytestmark = pytest.mark.e2e

HOSTILE = "<img src=x onerror=alert(1)> callers complain'; DROP TABLE ledger; --"


def test_people_answer_what_a_retraining_asks_in_the_browser(site: Site, first_of_vote: str, tmp_path: Path) -> None:
    with somebody(site, ADMIN) as admin, somebody(site, ONCALL) as oncall:
        site.asked("vote")
        open_model(admin, "vote")
        answer(admin, "Reject", "<b>not</b> before the audit", "it was received", would="Version 1 is rejected")
        ended = site.ended("vote", first_of_vote)
        assert (ended["outcome"], ended["champion"]) == ("rejected", None)
        assert ended["sentence"] == f"version 1 was rejected by {ADMIN}: <b>not</b> before the audit"

        second = site.api.trigger("retrain__vote", {"reason": "the second one", "as_of": OLD})
        site.asked("vote")
        for page in (admin, oncall):
            open_model(page, "vote")
        assert oncall.unreachable_by_theme() == {"light": [], "dark": []}
        oncall.picture(tmp_path / "approval.png")
        oncall.enter_frame()
        oncall.find("section.notice a", "Read what version 2 was judged by")
        first = "Version 2 becomes champion, the first one."
        answer(oncall, "Approve", HOSTILE, "version 2 of vote is champion", ".good", would=first)
        reject_too_late(admin)
        ended = site.ended("vote", second)
        # What this one asks is answered in another file: it is trained while others are run.
        ask_for_retraining(admin, "vote", "the third one", tmp_path)
    assert (ended["outcome"], ended["champion"]) == ("promoted", 2)
    answers = [
        (entry.facts["answer"], entry.actor, entry.reason)
        for entry in site.entries("vote", EntryKind.APPROVAL_ANSWERED)
    ]
    assert answers == [("rejected", ADMIN, "<b>not</b> before the audit"), ("approved", ONCALL, HOSTILE)]
    assert len(site.runs("vote", "manual")) == 3, "a double click is one run"


def reject_too_late(page: Page) -> None:
    """Answer what somebody else has answered meanwhile."""
    page.find("section.notice button", "Reject").click()
    page.find("#act-dry").click()
    page.find("#act-answer .bad", "That is gone")
    page.find("#act-reason").send_keys("I would rather not")
    page.find("#act-do").click()
    page.find("#act-answer .bad", "answered already")
    page.find("#act-close").click()


def ask_for_retraining(page: Page, model: str, reason: str, pictures: Path) -> None:
    """Press Retrain now; a reason is asked for first."""
    open_model(page, model)
    page.find("button", "Retrain now").click()
    page.find("#act-do").click()
    page.find("#act-answer", "Say in a sentence why")
    page.find("#act-reason").send_keys(reason)
    page.driver.execute_script("const go = document.getElementById('act-do'); go.click(); go.click();")
    page.find("#act-answer", "The run has begun")
    page.picture(pictures / "retrain.png")
