"""One stack with two models for all that is done in a browser: it is started once, and stopped after the last file."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.airflow_site import Site, running_site
from tests.e2e.oncall.models import OLD, OLDER, champions
from tests.e2e.oncall.people import ONCALL, PASSWORDS, USERS
from understudy.contract.words import Action, EntryKind
from understudy.embedded.airflow_api import Asked
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import ADMIN, write_private
from understudy.sample.meter import A_WEEK_LATER, FAULT_BEGINS, FAULT_ENDS
from understudy.story.practice import declare_meter

ACTIONS = ("rollback", *(action.value for action in Action))


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("oncall")
    declare_meter(home, "demand", window="7d", monitor={"schedule": "0 0 1 1 *", "of": "data", "window": "7d"})
    declare_meter(home, "vote", promotion={"mode": "approval", "approvers": [ADMIN, ONCALL], "timeout": "2h"})
    write_private(Layout(home=home).passwords, json.dumps(PASSWORDS))
    with running_site(home, "process", {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": USERS}) as running:
        for dag_id in ("retrain__demand", "monitor__demand", "retrain__vote", *ACTIONS):
            running.api.wait_for_dag(dag_id, 400)
        yield running


@pytest.fixture(scope="package")
def first_of_vote(site: Site) -> str:
    """Begin the retraining of vote that asks people first; give its run, which goes on beside everything else."""
    return site.api.trigger("retrain__vote", {"reason": "the first one", "as_of": OLDER})


@pytest.fixture(scope="package")
def bad_champion(site: Site, first_of_vote: str) -> Site:
    """Let demand learn a week in which its meter told the opposite, pass every gate by it, and be looked at.

    :param first_of_vote: is trained meanwhile.
    """
    for as_of in (FAULT_BEGINS, FAULT_ENDS):
        run = site.api.trigger("retrain__demand", {"reason": "the weekly one", "as_of": as_of.isoformat()})
        assert site.ended("demand", run)["outcome"] == "promoted"
    assert site.look("demand", A_WEEK_LATER.isoformat())["is_due"] is False
    return site


@pytest.fixture(scope="package")
def vote_asks(site: Site, first_of_vote: str) -> Asked:
    """Let vote have a version that was rejected, one that serves, and a third one that waits for an approval.

    :param first_of_vote: asks about the first one.
    """
    given, begun = len(site.entries("vote", EntryKind.APPROVAL_ANSWERED)), len(site.runs("vote", "manual"))
    for number, option in list(enumerate(("Reject", "Approve"), start=1))[given:]:
        if begun < number:
            site.api.trigger("retrain__vote", {"reason": "another one", "as_of": OLD})
        site.api.answer(site.asked("vote"), option, {"reason": "as it was agreed"})
        site.ended("vote", site.runs("vote", "manual")[-1]["dag_run_id"])
    if begun < 3:
        site.api.trigger("retrain__vote", {"reason": "the third one"})
    assert champions("vote") == [2]
    return site.asked("vote")
