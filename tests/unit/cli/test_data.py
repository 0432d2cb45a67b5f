"""`understudy data log` as people read it."""

from datetime import datetime, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner

from understudy.cli.app import app
from understudy.hooks.data.versions import DataVersion, DataVersions
from understudy.settings import settings


def test_a_window_says_from_when_to_when_it_reaches_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    settings.cache_clear()
    version = DataVersion(
        sha256="5ba0d53d8c97aaaa", md5="m", size_bytes=40_000, rows=672, model="demand",
        recorded_at=datetime(2026, 11, 28, 15, 24, tzinfo=timezone.utc),
        facts={"start": "2024-04-03T02:00:00+02:00", "end": "2024-04-09T23:45:00"}, commit="c",
    )  # fmt: skip
    monkeypatch.setattr(DataVersions, "log", lambda *_: [version])
    told = CliRunner().invoke(app, ["data", "log", "demand"]).stdout
    settings.cache_clear()
    assert "2024-04-03 00:00 UTC to 2024-04-09 23:45 UTC" in " ".join(told.split())
