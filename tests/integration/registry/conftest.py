"""One real MLflow on SQLite for all tests of the registry hook: it takes seconds to create."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.hooks.registry.registry import Registry


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def registry(home: Path) -> Registry:
    return Registry(f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri(), home / "bundles")


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """Give each test a model of its own in the one registry, which takes seconds to create."""
    return str(request.node.originalname)[:60]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "nested").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "nested" / "weights.bin").write_bytes(b"\x01" * 1000)
    return folder


@pytest.fixture(autouse=True)
def _leave_no_tracking_uri() -> Iterator[None]:
    yield
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)
