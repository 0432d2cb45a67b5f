"""scripts/understudy.sh: the documented commands on the machine of the compose stack."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.e2e.compose_stack import ComposeStack
from understudy.settings import PROJECT

SCRIPT = PROJECT / "scripts" / "understudy.sh"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Put a compose before the real one that says what it was asked."""
    stub = tmp_path / "docker-compose"
    stub.write_text('#!/bin/sh\n[ "$1" = version ] || echo "$*"\n', encoding="utf-8")
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    for name in ("docker", "docker-compose"):
        (tmp_path / name).chmod(0o755)
    return f"{tmp_path}{os.pathsep}{os.defpath}"


def asked(path: str, *words: str, **environment: str) -> str:
    done = subprocess.run(
        ["bash", str(SCRIPT), *words],
        env={"PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_command_runs_where_everything_is_reached(path: str) -> None:
    assert asked(path, "rollback", "prices", "--reason", "it hurts") == (
        "run --rm -T cli understudy rollback prices --reason it hurts"
    )


def test_predictions_are_asked_of_the_gateway_which_keeps_them(path: str) -> None:
    assert asked(path, "predictions", "show", "prices") == "exec -T gateway understudy predictions show prices"


def test_a_credential_goes_along_without_being_seen(path: str) -> None:
    login = {f"AIRFLOW__UNDERSTUDY__AIRFLOW_{name}": "secret" for name in ("USER", "PASSWORD")}
    told = asked(path, "approve", "prices", **login)
    assert told.endswith(
        "-T -e AIRFLOW__UNDERSTUDY__AIRFLOW_USER -e AIRFLOW__UNDERSTUDY__AIRFLOW_PASSWORD cli understudy approve prices"
    )
    assert "secret" not in told


def test_a_terminal_stays_one(path: str) -> None:
    ours, theirs = pty.openpty()
    subprocess.run(["bash", str(SCRIPT), "status"], env={"PATH": path}, stdin=theirs, stdout=theirs, check=True)
    os.close(theirs)
    assert os.read(ours, 1000).decode().strip() == "run --rm cli understudy status"
    os.close(ours)


@pytest.mark.parametrize("word", ["up", "down", "demo", "practice", "gateway", "metrics"])
def test_what_services_do_is_refused_with_the_way_out(path: str, word: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        asked(path, word)
    assert (refused.value.returncode, "docs/compose.md" in refused.value.stderr) == (2, True)


@pytest.mark.parametrize("command", [("docker", "compose"), ("docker-compose",)], ids=" ".join)
def test_lines_of_the_documentation_reach_either_compose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    stub = tmp_path / command[0]
    stub.write_text(f'#!/bin/sh\necho "$*" > {tmp_path / "asked"}\n', encoding="utf-8")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")
    monkeypatch.setenv("FUNCNEST", "5")  # a function that calls itself without end fails, and forks no further
    ComposeStack("mine", tmp_path / "env", command).type("docker compose stop gateway", tmp_path)
    asked = (tmp_path / "asked").read_text(encoding="utf-8").split()
    assert asked == [*command[1:], "--env-file", str(tmp_path / "env"), "--project-name", "mine", "stop", "gateway"]
