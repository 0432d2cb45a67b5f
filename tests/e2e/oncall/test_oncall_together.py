"""Two people at once, each in a browser of their own: one acts, and the other is told who did what."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.airflow_site import Site, wait
from tests.e2e.browser import Page
from tests.e2e.oncall.models import answering, champions, promote_another_version
from tests.e2e.oncall.people import ONCALL, PASSWORDS, answer, begin, open_model, press, somebody
from understudy.contract.words import Change, EntryKind
from understudy.embedded.airflow_api import Asked
from understudy.embedded.passwords import ADMIN
from understudy.hooks.connect import connect

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def pages(site: Site) -> Iterator[dict[str, Page]]:
    with somebody(site, ADMIN) as admin, somebody(site, ONCALL) as oncall:
        yield {ADMIN: admin, ONCALL: oncall}


def both_press(pages: dict[str, Page], model: str, action: str, would: str) -> dict[str, Any]:
    """Let both see in a dry run that they may, and then do it; give each one's answer."""
    for page in pages.values():
        open_model(page, model)
        begin(page, action, "both of us")
        page.find("#act-dry").click()
    for page in pages.values():
        page.find("#act-answer .notice", would)
    for page in pages.values():
        page.driver.execute_script("document.getElementById('act-do').click()")
    return {user: page.find("#act-answer .good, #act-answer .bad") for user, page in pages.items()}


def other_than(actor: str) -> str:
    return ({ADMIN, ONCALL} - {actor}).pop()


def test_of_two_who_hold_a_model_at_once_the_second_is_told_who_was_first(
    bad_champion: Site, pages: dict[str, Page]
) -> None:
    before = len(bad_champion.entries("demand", EntryKind.HELD))
    told = both_press(pages, "demand", "Hold", "demand is held")
    (held,) = bad_champion.entries("demand", EntryKind.HELD)[before:]
    loser = other_than(held.actor)
    assert "good" in told[held.actor].get_attribute("class")
    assert "bad" in told[loser].get_attribute("class")
    assert f"demand is held already, by {held.actor}" in told[loser].text
    pages[loser].find("#act-close").click()
    press(pages[loser], "Release", "agreed", would="is released", told="is released")


def test_an_approval_that_comes_after_the_champion_changed_promotes_nothing(
    site: Site, vote_asks: Asked, pages: dict[str, Page]
) -> None:
    oncall = pages[ONCALL]
    open_model(oncall, "vote")
    assert promote_another_version("vote") == 1
    moves = len(connect().deployments.history("vote"))
    # Who opens the page now is warned; who has it open is told when it is too late.
    cookies = {"_token": site.token(ADMIN, PASSWORDS[ADMIN])}
    warned = httpx.get(f"{site.api.url}/understudy/models/vote", cookies=cookies, timeout=60, trust_env=False).text
    assert "An approval would be used up and promote nothing." in warned
    why = "Version 3 of vote was judged against version 2 (epoch 1), but version 1 (epoch 2) serves now"
    answer(oncall, "Approve", "it is the best one", why, ".bad", would="Your approval is used up and promotes nothing.")

    assert site.ended("vote", vote_asks.run)["outcome"] == "promotion_refused"
    assert champions("vote") == [2, 1]
    assert len(connect().deployments.history("vote")) == moves
    answered, refused = (site.entries("vote", kind)[-1] for kind in (EntryKind.APPROVAL_ANSWERED, EntryKind.REFUSED))
    assert (answered.actor, answered.reason, answered.facts["answer"]) == (ONCALL, "it is the best one", "approved")
    assert (refused.run, refused.facts["version"]) == (answered.run, 3)
    assert why in refused.reason
    assert connect().ledger.verify().ok
    open_model(oncall, "vote")
    oncall.find(".notice.bad", why)


def test_of_two_who_roll_back_at_once_one_does_and_the_other_is_told_who_did(
    site: Site, vote_asks: Asked, pages: dict[str, Page]
) -> None:
    if champions("vote") == [2]:
        promote_another_version("vote")
    wait(lambda: answering(site, "vote") == (200, "1"), 60)
    before = connect().deployments.denials("vote")
    told = both_press(pages, "vote", "Roll back", "goes back from version 1 to version 2")
    history = connect().deployments.history("vote")
    (done,) = (served for served in history if served.deployment.change is Change.ROLLBACK)
    loser = other_than(done.actor)
    assert "version 2 of vote is champion again" in told[done.actor].text
    assert "bad" in told[loser].get_attribute("class")
    assert "version 2 serves now" in told[loser].text
    assert f"by {done.actor} (both of us)" in told[loser].text

    assert champions("vote") == [2, 1, 2]
    assert len(connect().deployments.denials("vote")) == len(before) + 1
    assert connect().ledger.verify().ok
    wait(lambda: answering(site, "vote") == (200, "2"), 60)
