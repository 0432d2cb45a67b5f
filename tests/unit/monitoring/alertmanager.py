"""Alertmanager's configuration, as its container writes it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
START = PROJECT / "include" / "monitoring" / "alertmanager" / "start.sh"
AMTOOL = shutil.which("amtool")
SERVER = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")
needs_alertmanager = pytest.mark.skipif(
    AMTOOL is None or SERVER is None,
    reason="Alertmanager is not installed; Debian has it in `prometheus-alertmanager`",
)


def configured(folder: Path, **settings: str) -> Path:
    """Write the configuration for some settings of alertmanager.env."""
    subprocess.run(
        ["sh", str(START), "print", str(folder)], check=True, env={"PATH": os.defpath, **settings}, capture_output=True
    )
    return folder / "alertmanager.yml"
