"""What is asked for and not taken up at once: what it waits for is said, with a way that needs no Airflow."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import pytest

from tests.e2e.airflow_site import Site, wait
from tests.e2e.oncall.people import ONCALL, begin, open_model, open_page, somebody
from understudy.embedded.airflow_api import Asked

pytestmark = pytest.mark.e2e


def test_a_paused_dag_is_said_and_what_waits_for_it_goes_on_once_it_is_unpaused(bad_champion: Site) -> None:
    with somebody(bad_champion, ONCALL) as page:
        open_model(page, "demand")
        with bad_champion.paused("lock"):
            # Whoever had the page open is told by Airflow's queue.
            begin(page, "Lock", "the audit")
            page.find("#act-dry").click()
            told = page.find("#act-answer .wait", "The DAG lock is paused").text
            assert 'understudy lock demand 2 --reason "…"' in told
            with somebody(bad_champion, ONCALL) as another:
                open_model(another, "demand")
                assert not another.find(".actions button", "Lock").is_enabled()
                another.find(".notice.wait", "lock is paused")
        page.find("#act-answer .notice", "This would happen: version 2 of demand is locked")


def test_a_dry_run_that_nobody_waits_for_any_more_leaves_the_queue(bad_champion: Site) -> None:
    before = len(bad_champion.runs_of("lock"))
    with somebody(bad_champion, ONCALL) as page:
        open_model(page, "demand")
        with bad_champion.paused("lock"):
            begin(page, "Lock", "the audit")
            page.find("#act-dry").click()
            page.find("#act-answer .wait", "It is queued")
            assert len(bad_champion.runs_of("lock")) == before + 1
            page.find("#act-close").click()
            wait(lambda: len(bad_champion.runs_of("lock")) == before, 60)


def test_a_scheduler_that_does_not_run_is_said_within_seconds_instead_of_minutes(bad_champion: Site) -> None:
    with somebody(bad_champion, ONCALL) as page:
        open_model(page, "demand")
        with stopped(bad_champion.pid("scheduler")):
            begin(page, "Roll back", "callers complain")
            page.find("#act-dry").click()
            told = page.find("#act-answer .wait", "It is queued").text
            assert "scheduler" in told
            assert 'understudy rollback demand --to 1 --reason "…"' in told
        page.find("#act-answer .notice", "goes back from version 2 to version 1")


def test_a_retraining_that_waits_for_another_one_is_not_said_to_have_begun(site: Site, vote_asks: Asked) -> None:
    with somebody(site, ONCALL) as page:
        open_model(page, "vote")
        page.find("button", "Retrain now").click()
        page.find("#act-reason").send_keys("once more")
        page.find("#act-do").click()
        told = page.find("#act-answer .wait", "It is queued. Another run of retrain__vote is under way")
        other = str(told.find_elements("tag name", "a")[-1].get_attribute("href"))
        assert unquote(other).endswith(f"/dags/retrain__vote/runs/{vote_asks.run}")
        page.find("#act-close").click()
        page.find("section.notice", "A retraining is queued: another one is under way")
        open_page(page)
        assert "1 queued" in page.find("tbody tr", "vote").text
    queued = site.runs("vote", "manual")[-1]
    assert queued["state"] == "queued"
    site.withdraw("retrain__vote", queued["dag_run_id"])


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process hang."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
