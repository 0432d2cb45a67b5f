"""Three in the morning: the engineer on call finds the bad model, reads why it is bad, and takes it back."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.airflow_site import Site, wait
from tests.e2e.browser import NARROW, Page, browser
from tests.e2e.oncall.models import answering, champions
from tests.e2e.oncall.people import ONCALL, PASSWORDS, log_in, open_page, read_report
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect

pytestmark = pytest.mark.e2e

REASON = "It tells the opposite of what happens: it learned from the broken meter"


def test_the_engineer_on_call_finds_the_bad_model_and_takes_it_back(bad_champion: Site, tmp_path: Path) -> None:
    site, before = bad_champion, len(bad_champion.runs_of("rollback"))
    wait(lambda: answering(site, "demand") == (200, "2"), 120)
    with browser(site.api.url) as page:
        log_in(page, ONCALL, PASSWORDS[ONCALL])
        find_and_read(page, tmp_path)
        roll_back(page, tmp_path)
        page.find("dd", "version 1")
        page.find("#ledger td", REASON)
        page.picture(tmp_path / "oncall-5-done.png")
        from_the_run_and_back(page, tmp_path)
        in_the_dark_and_on_a_phone(page, tmp_path)
        page.find("dd a", "retrain__demand").click()
        page.until(lambda driver: driver.current_url.endswith("/dags/retrain__demand"), "the DAG's page in Airflow")
    assert champions("demand") == [1, 2, 1]
    newest = site.entries("demand", EntryKind.DEPLOYED)[-1]
    assert (newest.actor, newest.reason) == (ONCALL, REASON)
    assert newest.facts["dag_id"] == "rollback"
    wait(lambda: answering(site, "demand") == (200, "1"), 30)
    # One that only said and one that did: the second of two clicks was no third.
    assert len(site.runs_of("rollback")) == before + 2


def find_and_read(page: Page, pictures: Path) -> None:
    """See which model is in trouble, and read why."""
    page.enter_frame()
    assert "demand" in page.find("tbody tr").text, "what needs attention comes first"
    assert "Needs attention" in page.find("tbody tr", "demand").text
    assert page.unreachable() == []
    page.picture(pictures / "oncall-1-fleet.png")
    page.enter_frame()
    page.find("input[name=search]").send_keys("demand\n")
    page.until(lambda driver: "search=demand" in driver.execute_script("return location.search"), "the search")
    page.find("a.name", "demand").click()
    page.find(".notice.bad", "Its last look found something wrong")
    assert page.unreachable() == []
    page.picture(pictures / "oncall-2-model.png")
    page.enter_frame()
    page.find("dd a[href*='/cards/']", "loss is").click()
    page.find("h2", "What was decided")
    assert "failed" in page.find("tr", "quality.loss").text
    assert "failed" in page.find("tr", "quality.roc_auc").text
    assert page.unreachable() == []
    page.picture(pictures / "oncall-3-card.png")
    page.enter_frame()
    read_report(page, page.find("dd a[href*='/looks/']", "quality"), "demand", pictures / "oncall-look-report.png")
    judged = connect().ledger.entries("demand", [EntryKind.JUDGED])[-1]
    open_page(page, f"understudy/models/demand/cards/{judged.seq}")
    read_report(page, page.find("dd a[href$='/report']"), "demand", pictures / "oncall-report.png")
    page.enter_frame()
    page.find(".bar a", "demand").click()


def roll_back(page: Page, pictures: Path) -> None:
    """Say why, see what would happen, and do it."""
    page.find("button", "Roll back").click()
    page.find("#act-reason").send_keys(REASON)
    assert not page.find("#act-do").is_enabled()
    page.find("#act-dry").click()
    page.find("#act-answer", "goes back from version 2 to version 1")
    assert champions("demand") == [1, 2]
    assert page.unreachable() == []
    page.picture(pictures / "oncall-4-dry-run.png")
    page.enter_frame()
    # Two clicks at once, as from a nervous hand.
    page.driver.execute_script("const go = document.getElementById('act-do'); go.click(); go.click();")
    page.find("#act-answer", "version 1 of demand is champion again")
    page.find("#act-close").click()


def from_the_run_and_back(page: Page, pictures: Path) -> None:
    """Open the tab of the rollback's run in Airflow, read the card there, and follow its link to the run."""
    run_id = str(connect().ledger.entries("demand", [EntryKind.DEPLOYED])[-1].facts["run_id"])
    page.open(f"/dags/rollback/runs/{quote(run_id, safe='')}/plugin/decisions")
    page.enter_frame()
    page.find("h1", "Version 2 was rolled back; version 1 serves again")
    page.find("dd", "which serves again")
    page.picture(pictures / "oncall-6-rollback-card.png")
    page.enter_frame()
    page.find("dd a[data-in-airflow]", run_id).click()
    page.until(lambda driver: "/dags/rollback/runs/" in driver.current_url, "the run's page in Airflow")


def in_the_dark_and_on_a_phone(page: Page, pictures: Path) -> None:
    """Look at the pages in Airflow's dark mode and on a narrow screen; leave the page of the model open."""
    page.driver.switch_to.default_content()
    page.driver.execute_script("localStorage.setItem('theme', 'dark')")
    card = f"understudy/models/demand/cards/{connect().ledger.entries('demand', [EntryKind.MONITORED])[-1].seq}"
    for name, path in (("fleet", ""), ("card", card), ("model", "understudy/models/demand")):
        for kind, size in (("dark", (1360, 860)), ("narrow", NARROW)):
            page.driver.set_window_size(*size)
            page.open(f"/plugin/models/{path}")
            page.enter_frame()
            page.find("h1")
            assert page.driver.execute_script("return document.documentElement.dataset.theme") == "dark"
            assert page.unreachable() == []
            width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.driver.execute_script(width) <= 0, f"{name} {kind} is wider than its frame"
            page.picture(pictures / f"oncall-{kind}-{name}.png", size)
            page.enter_frame()
    for told in ("understudy/runbooks", "understudy/models/nothing"):  # a page of text, and a refusal
        open_page(page, told)
        assert page.unreachable() == []
    open_page(page, "understudy/models/demand")
    page.driver.set_window_size(1360, 860)
