"""Who hears of what Prometheus finds, by the configuration that Alertmanager's container writes."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.monitoring.alertmanager import AMTOOL, PROJECT, START, configured, needs_alertmanager
from tests.unit.monitoring.rules import rules

EXAMPLE = PROJECT / "include" / "stack" / "alertmanager.env.example"
SLACK = {"ALERTMANAGER_SLACK_URL": "https://hooks.slack.com/services/T0/B0/it's#a: secret"}
MAIL = {
    "ALERTMANAGER_MAIL_TO": "oncall@example.com",
    "ALERTMANAGER_MAIL_FROM": "understudy@example.com",
    "ALERTMANAGER_MAIL_SERVER": "mail.example.com:587",
    "ALERTMANAGER_MAIL_PASSWORD": 'it\'s "secret" $HOME',
}
WEBHOOK = {"ALERTMANAGER_WEBHOOK_URL": "https://alerts.example.com/understudy"}
PAGER = {"ALERTMANAGER_PAGERDUTY_KEY": "0123456789"}
HEARTBEAT = {"ALERTMANAGER_HEARTBEAT_URL": "https://hc.example.com/1"}
EVERYBODY = {**SLACK, **MAIL, **WEBHOOK, **PAGER, **HEARTBEAT}


def receivers(path: Path) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in yaml.safe_load(path.read_text(encoding="utf-8"))["receivers"]}


@needs_alertmanager
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="nobody"),
        pytest.param(SLACK, id="slack"),
        pytest.param(MAIL, id="mail"),
        pytest.param(WEBHOOK, id="webhook"),
        pytest.param(PAGER, id="pagerduty"),
        pytest.param(EVERYBODY, id="everybody"),
    ],
)
def test_amtool_finds_nothing_wrong_with_what_is_written(tmp_path: Path, settings: dict[str, str]) -> None:
    path = configured(tmp_path, **settings)
    done = subprocess.run([str(AMTOOL), "check-config", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == 2, "configuration and templates"


@needs_alertmanager
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_goes_to_whom_its_severity_says(tmp_path: Path, rule: dict[str, Any]) -> None:
    path = configured(tmp_path)
    labels = [f"alertname={rule['alert']}", f"severity={rule['labels']['severity']}"]
    told = subprocess.run(
        [str(AMTOOL), "config", "routes", "test", f"--config.file={path}", *labels],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = "pager" if rule["labels"]["severity"] == "critical" else "colleagues"
    assert told.stdout.strip() == ("watchdog" if rule["alert"] == "AlertingWorks" else expected)


def test_secrets_arrive_as_they_were_written_and_are_the_containers_own(tmp_path: Path) -> None:
    path = configured(tmp_path, **EVERYBODY)
    pager = receivers(path)["pager"]
    assert pager["slack_configs"][0]["api_url"] == SLACK["ALERTMANAGER_SLACK_URL"]
    assert pager["email_configs"][0]["auth_password"] == MAIL["ALERTMANAGER_MAIL_PASSWORD"]
    assert pager["pagerduty_configs"][0]["routing_key"] == PAGER["ALERTMANAGER_PAGERDUTY_KEY"]
    assert path.stat().st_mode & 0o077 == 0


def test_pagerduty_hears_of_what_is_critical_only_and_the_others_of_everything(tmp_path: Path) -> None:
    told = receivers(configured(tmp_path, **EVERYBODY))
    others = {"name", "slack_configs", "email_configs", "webhook_configs"}
    assert told["colleagues"].keys() == others
    assert told["pager"].keys() == others | {"pagerduty_configs"}
    assert told["watchdog"]["webhook_configs"][0]["url"] == HEARTBEAT["ALERTMANAGER_HEARTBEAT_URL"]


def test_mail_without_a_sender_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        configured(tmp_path, ALERTMANAGER_MAIL_TO="oncall@example.com")
    assert b"ALERTMANAGER_MAIL_FROM: names the sender" in refused.value.stderr


@pytest.mark.parametrize(("settings", "is_warned"), [({}, True), (HEARTBEAT, True), (PAGER, False)])
def test_it_says_plainly_that_nobody_is_told(tmp_path: Path, settings: dict[str, str], is_warned: bool) -> None:
    (tmp_path / "alertmanager").symlink_to("/bin/true")
    (tmp_path / "cp").symlink_to("/bin/false")  # it ends before it writes where only its container may
    done = subprocess.run(
        ["sh", str(START)],
        check=False,
        env={"PATH": f"{tmp_path}:{os.defpath}", **settings},
        capture_output=True,
        text=True,
    )
    assert ("nobody is told of anything until alertmanager.env names somebody" in done.stderr) == is_warned


def test_the_example_names_every_setting_and_no_other() -> None:
    read = set(re.findall(r"ALERTMANAGER_[A-Z_]+", START.read_text(encoding="utf-8")))
    assert set(re.findall(r"^# (ALERTMANAGER_[A-Z_]+)=", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)) == read
