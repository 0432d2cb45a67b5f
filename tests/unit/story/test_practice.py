"""What is left for whoever practises is said only where the ledger has it."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.unit.cli.due_look import DUE
from tests.unit.hooks.demand import WHY, bundle, record
from understudy.contract.release import Deployment
from understudy.contract.words import Change, EntryKind
from understudy.embedded.stack import Running
from understudy.hooks.connect import Hooks
from understudy.settings import Settings
from understudy.story.practice import NothingBad, what_is_left

RUNNING = Running(
    home="/h",
    airflow="http://a",
    mlflow="http://m",
    gateway="http://g",
    user="admin",
    password=SecretStr("p"),
    password_file="/h/passwords.json",
)


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    return Hooks(Settings(UNDERSTUDY_HOME=tmp_path, models_dir=tmp_path / "models"))


def promoted_twice(hooks: Hooks) -> None:
    hooks.deployments.deploy(record(1, 1), 0, WHY)
    second = Deployment(
        model="demand", epoch=2, change=Change.PROMOTION, champion=bundle(2), previous=bundle(1), champion_since=2
    )
    hooks.deployments.deploy(second, 1, WHY)


def looked_at(hooks: Hooks, verdict: str) -> None:
    facts = json.loads(DUE)
    facts["decision"]["judgement"]["verdict"] = verdict
    hooks.ledger.append("demand", EntryKind.MONITORED, "admin", "wind moved", "look1", facts)


def test_a_bad_champion_and_the_good_one_before_it_are_named_with_what_the_look_found(hooks: Hooks) -> None:
    promoted_twice(hooks)
    looked_at(hooks, "failed")
    left = what_is_left(hooks, RUNNING, Path("/h/models"), 60.0)
    assert (left.bad, left.good, left.found, left.seconds) == (2, 1, "wind moved", 60.0)


def test_where_no_bad_champion_came_about_it_is_said_why(hooks: Hooks) -> None:
    with pytest.raises(NothingBad, match="no run ended"):
        what_is_left(hooks, RUNNING, Path("/h/models"), 60.0)
    hooks.deployments.deploy(record(1, 1), 0, WHY)
    facts = {"outcome": "declined", "version": 2, "champion": 1, "sentence": "too weak"}
    hooks.ledger.append("demand", EntryKind.CONCLUDED, "admin", "too weak", "run2", facts)
    with pytest.raises(NothingBad, match=r"came about: too weak\. Look into the runs of retrain__demand"):
        what_is_left(hooks, RUNNING, Path("/h/models"), 60.0)


def test_a_champion_at_which_the_look_finds_nothing_is_no_practice(hooks: Hooks) -> None:
    promoted_twice(hooks)
    with pytest.raises(NothingBad, match="nobody looked"):
        what_is_left(hooks, RUNNING, Path("/h/models"), 60.0)
    looked_at(hooks, "passed")
    with pytest.raises(NothingBad, match="wind moved"):
        what_is_left(hooks, RUNNING, Path("/h/models"), 60.0)
