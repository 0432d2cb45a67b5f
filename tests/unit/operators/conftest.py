"""What operators of the loop stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.operators.price import Registry, declare
from understudy.settings import settings


@pytest.fixture
def price_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setattr("understudy.hooks.registry.Registry", lambda *_, **__: Registry())
    settings.cache_clear()
    declare()
    yield tmp_path
    settings.cache_clear()
