"""Declared models whose conditions are asked."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from understudy.hooks.connect import Hooks
from understudy.settings import Settings

DAY = timedelta(days=1)


def hooks_of(home: Path, **more: Any) -> Hooks:
    return Hooks(Settings(UNDERSTUDY_HOME=home, models_dir=home / "models", **more))


def declare(home: Path, model: str = "price", *, since: datetime | None = None, more: str = "") -> None:
    since = since or now() - 3 * DAY
    path = home / "models" / model / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"model: {model}\nowner: me\ntask: regression\n"
        f"data: {{source: x.csv, time: at, target: y}}\ngates: [{{metric: rmse, ceiling: 5}}]\n{more}\n"
    )
    os.utime(path, (since.timestamp(), since.timestamp()))


def now() -> datetime:
    """Read the clock when a test runs, which may be long after its file was imported."""
    return datetime.now(timezone.utc)
