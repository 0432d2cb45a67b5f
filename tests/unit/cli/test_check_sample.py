"""A fresh project's only model: its file is made by a command, and the check says by which."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from understudy.cli import check
from understudy.cli.app import app
from understudy.sample import file


def test_the_samples_missing_file_is_told_with_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(file, "PATH", tmp_path / "data" / "powerprice.csv.gz")
    monkeypatch.setattr(check, "PROJECT", tmp_path)
    told = CliRunner().invoke(app, ["check"])
    assert told.exit_code == 1
    assert "`make demo` or `understudy up` makes it" in " ".join(told.stdout.split())
