"""A fake engine with the real proxy before it, and what runners and gateways really send."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine_proxy.fake_engine import FakeEngine, fake_engine, proxy


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with fake_engine(tmp_path) as running:
        yield running


@pytest.fixture
def port(engine: FakeEngine) -> Iterator[int]:
    with proxy(Path(str(engine.server_address))) as listening:
        yield listening
