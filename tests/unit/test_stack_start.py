"""scripts/stack.sh: the compose stack is up when all that runs for ever does."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from understudy.settings import PROJECT

# As version 2 does it: what has stopped is listed with --all only.
DOCKER = """#!/bin/sh
case "$*" in
  "compose ps --all --quiet") awk '{ print NR }' "$STATES" ;;
  "compose ps --quiet") awk '$3 == "running" { print NR }' "$STATES" ;;
  "inspect --format "*) shift 3; for id; do sed -n "${id}p" "$STATES"; done ;;
  "compose port "*) echo 127.0.0.1:8080 ;;
esac
"""


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Give a folder with the script, and stand-ins for all that it calls."""
    (tmp_path / "scripts").mkdir()
    for name in ("stack.sh", "compose.sh"):
        shutil.copy(PROJECT / "scripts" / name, tmp_path / "scripts" / name)
    for name in ("scripts/make_env.sh", "scripts/build_image.sh", "sleep"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "scripts" / "understudy.sh").write_text("""#!/bin/sh\necho '"champion": {'\n""", encoding="utf-8")
    (tmp_path / "docker").write_text(DOCKER, encoding="utf-8")
    (tmp_path / "airflow.env").touch()
    for file in (*(tmp_path / "scripts").iterdir(), tmp_path / "docker", tmp_path / "sleep"):
        file.chmod(0o755)
    return tmp_path


def started(stack: Path, *states: str) -> subprocess.CompletedProcess[str]:
    (stack / "states").write_text("\n".join(states), encoding="utf-8")
    return subprocess.run(
        ["bash", str(stack / "scripts" / "stack.sh")],
        env={"PATH": f"{stack}{os.pathsep}{os.defpath}", "STATES": str(stack / "states")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "state",
    ["scheduler False exited ", "scheduler False restarting ", "scheduler False running unhealthy"],
    ids=["stopped", "restarting", "unhealthy"],
)
def test_a_service_that_is_not_well_is_named(stack: Path, state: str) -> None:
    done = started(stack, "postgres False running healthy", state)
    assert (done.returncode, done.stderr) == (
        1,
        "stack: not healthy after ten minutes: scheduler (look at: docker compose logs scheduler)\n",
    )


def test_what_has_ended_rightly_keeps_nobody_waiting(stack: Path) -> None:
    done = started(
        stack, "init False exited ", "cli True exited ", "edge False running ", "mlflow False running healthy"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "The stack runs." in done.stdout
