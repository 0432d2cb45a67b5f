"""What is done from the command line bears the name of the process's account, whatever the environment says."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.hooks.demand import WHY, record
from understudy.cli.app import app
from understudy.hooks.account import own_account
from understudy.hooks.connect import Hooks
from understudy.settings import settings


def test_an_act_cannot_bear_the_name_of_somebody_who_logs_in_to_airflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    settings.cache_clear()
    Hooks(settings()).deployments.deploy(record(1, 1), 0, WHY)
    monkeypatch.setenv("LOGNAME", "olga")
    assert CliRunner().invoke(app, ["hold", "demand", "--reason", "calm"]).exit_code == 0
    (entry,) = json.loads(CliRunner().invoke(app, ["ledger", "demand", "--last", "1", "--json"]).stdout)
    settings.cache_clear()
    assert entry["actor"] == own_account()
    assert entry["actor"].endswith(" (command line)")
