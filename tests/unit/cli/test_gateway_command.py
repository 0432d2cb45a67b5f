"""`understudy gateway`: who may listen where, and which secret its admin API asks for."""

import fcntl
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from understudy.cli import gateway as command
from understudy.cli.app import app
from understudy.cli.gateway import own_url
from understudy.embedded.passwords import gateway_token
from understudy.gateway.config import GatewayConfig
from understudy.settings import PROJECT, Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings = Settings.model_validate({"UNDERSTUDY_HOME": tmp_path, "gateway_max_body": "1m"})
    monkeypatch.setattr(command, "deployment", lambda: settings)
    return tmp_path


def test_a_taken_port_is_a_sentence_with_a_way_out(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = CliRunner().invoke(app, ["gateway", "--port", str(port)])
    assert answer.exit_code == 1
    assert f"another program listens on port {port} of 127.0.0.1. Give another one with --port" in answer.output
    assert "Traceback" not in answer.output


def test_an_address_of_another_machine_is_a_sentence(home: Path) -> None:
    answer = CliRunner().invoke(app, ["gateway", "--host", "192.0.2.1", "--port", "0"])
    assert answer.exit_code == 1
    assert "192.0.2.1 is not an address of this machine" in answer.output
    assert "--host" in answer.output


def test_a_second_gateway_on_the_same_state_is_a_sentence(home: Path) -> None:
    (home / "gateway").mkdir()
    with (home / "gateway" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        answer = CliRunner().invoke(app, ["gateway", "--port", "0"])
    assert answer.exit_code == 1
    assert "Another gateway keeps its records and logs in" in answer.output
    assert "UNDERSTUDY_HOME" in answer.output


@pytest.mark.parametrize(
    ("listening", "reached"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://0.0.0.0:1", "http://127.0.0.1:1"),
        ("http://[::]:1", "http://[::1]:1"),
        ("http://10.1.2.3:1", "http://10.1.2.3:1"),
    ],
)
def test_the_follower_reaches_the_gateway_on_this_machine(listening: str, reached: str) -> None:
    assert own_url(listening) == reached


def test_a_token_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    settings = Settings.model_validate({"UNDERSTUDY_HOME": tmp_path})
    token = gateway_token(settings).get_secret_value()
    path = settings.gateway_dir / "token"
    assert len(token) >= 32
    assert gateway_token(settings).get_secret_value() == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [left.name for left in path.parent.iterdir()] == ["token"]


def test_a_token_that_was_set_is_used_and_not_written(tmp_path: Path) -> None:
    settings = Settings.model_validate({"UNDERSTUDY_HOME": tmp_path, "gateway_token": "given"})
    assert gateway_token(settings).get_secret_value() == "given"
    assert not settings.gateway_dir.exists()


def test_the_gateways_process_holds_neither_database_nor_registry_nor_airflow(tmp_path: Path) -> None:
    code = """
import sys
from understudy.cli.app import app
import understudy.embedded.passwords, understudy.gateway.serve
heavy = {"sqlalchemy", "mlflow", "airflow", "pandas", "polars", "sklearn"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "plugins"), "UNDERSTUDY_HOME": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_what_the_command_line_says_wins_over_the_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Beside:
        def __init__(self, program: list[str], on_death: object) -> None:
            seen["program"] = program

        def start(self) -> None:
            seen["started"] = True

        def stop(self) -> None:
            seen["stopped"] = True

    def serve(config: GatewayConfig, announce: Callable[[str], None]) -> None:
        seen["config"] = config
        announce("http://0.0.0.0:8123")

    monkeypatch.setattr(command, "Companion", Beside)
    monkeypatch.setattr("understudy.gateway.serve.serve", serve)
    answer = CliRunner().invoke(app, ["gateway", "--port", "0", "--name", "left"])
    assert answer.exit_code == 0, answer.output
    config = seen["config"]
    assert (config.name, config.host, config.port, config.max_body_bytes) == ("left", "127.0.0.1", 0, 1 << 20)
    assert (config.state_dir, config.bundles_dir) == (home / "gateway", home / "bundles")
    assert seen["program"][-1] == "http://127.0.0.1:8123"
    assert seen["started"]
    assert seen["stopped"]
