"""What `make install` says when it fails; the script is the real one, the installer that it calls a stand-in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install.sh"
# Makes an environment that has a Python, and fails to fill it.
UV = """#!/usr/bin/env bash
if [ "$1" = venv ]; then
  mkdir -p .venv/bin && ln -s {python} .venv/bin/python
else
  printf '%s\\n' "$SAID" >&2
  exit 2
fi
"""
UV_CANNOT_BUILD = """  x Failed to build `river==0.25.0`
  |-> The build backend returned an error
  `-> Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)
      urllib.error.URLError: <urlopen error [Errno 111] Connection refused>"""
PIP_CANNOT_BUILD = """  ERROR: Failed building wheel for river
ERROR: Failed to build installable wheels for some pyproject.toml based projects (river)"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "install.sh").write_bytes(SCRIPT.read_bytes())
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV.format(python=sys.executable), encoding="utf-8")
    uv.chmod(0o755)
    return tmp_path


def install(project: Path, said: str) -> "subprocess.CompletedProcess[str]":
    path = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", project / "scripts" / "install.sh"],
        env={"PATH": path, "SAID": said, "UNDERSTUDY_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (UV_CANNOT_BUILD, "river has no ready-made wheel for this Python and could not be built here"),
        (PIP_CANNOT_BUILD, "river has no ready-made wheel for this Python and could not be built here"),
        ("error: Failed to fetch: dns error", "the package index could not be reached; check the network"),
        ("invalid peer certificate: UnknownIssuer", "the package index presented an unknown certificate"),
        ("write error: No space left on device", "the disk is full"),
        ("something nobody thought of", "failed; its last words are above."),
    ],
)
def test_a_failed_installation_says_why_and_leaves_no_half_made_one_for_ready(
    project: Path, said: str, sentence: str
) -> None:
    ended = install(project, said)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("install: ")
    assert sentence in ended.stderr.splitlines()[-1]
    assert "is ready" not in ended.stdout
    assert "creating .venv" in install(project, said).stdout, "the next one begins anew"
