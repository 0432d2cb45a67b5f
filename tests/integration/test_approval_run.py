"""Whole runs, by Airflow's own task runner: one that has nobody to ask, and one under a hold that a form made."""

from pathlib import Path

import pytest

from tests.integration.conftest import Site, hourly
from understudy.contract.words import EntryKind


@pytest.fixture(scope="module")
def declared(site: Site) -> Path:
    site.declare("asks", promotion={"mode": "approval"})
    site.declare("held")
    for model in ("asks", "held"):
        site.deliver(model, hourly())
    return site.home


def test_a_run_without_a_scheduler_stops_before_the_promotion_and_waits_for_nobody(site: Site, declared: Path) -> None:
    run = site.retrain("asks")
    assert (run.state, run.outcome, run.tasks["approve"]) == ("failed", "promotion_refused", "failed")
    assert "a run without a scheduler has nobody to ask; retrain asks on a running Airflow" in run.sentence
    kinds = {entry.kind for entry in site.hooks.ledger.entries("asks")}
    assert EntryKind.BLESSED in kinds
    assert not kinds & {EntryKind.APPROVAL_ASKED, EntryKind.DEPLOYED}


def test_a_run_under_a_hold_is_judged_and_is_no_failure(site: Site, declared: Path) -> None:
    form = {"model": "held", "reason": "'; DROP TABLE ledger; -- <script>"}
    planned = site.run("hold", "operations", {}, {**form, "dry_run": True})
    assert (planned.state, planned.returned["hold"]["is_dry_run"]) == ("success", True)
    assert site.hooks.deployments.held("held") is None
    assert site.run("hold", "operations", {}, form).state == "success"
    hold = site.hooks.deployments.held("held")
    assert hold is not None
    assert hold.reason == form["reason"]
    assert site.run("hold", "operations", {}, form).state == "failed", "it is held already"

    run = site.retrain("held")
    assert (run.state, run.outcome) == ("success", "held")
    assert (run.tasks["promote"], run.tasks["outcome"]) == ("skipped", "success")
    assert f"version 1 passed and is not promoted: held is held by {hold.actor} since" in run.sentence
    assert site.hooks.deployments.current("held") is None
