"""The way to a registry: made once by whoever is first, and said in a sentence where it is no use."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from understudy.hooks.registry.client import RegistryClient
from understudy.hooks.registry.errors import RegistryUnavailable
from understudy.hooks.registry.registry import Registry

PLUGINS = Path(__file__).parents[3] / "plugins"


def test_a_dead_server_is_said_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    registry = Registry("http://ml:s3cret@127.0.0.1:9", "mlflow-artifacts:/", tmp_path)
    started = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="Check that MLflow runs") as told:
        registry.aliases("demand")
    assert "s3cret" not in str(told.value)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"rubbish" * 1000), lambda path: path.mkdir()], ids=["rubbish", "folder"]
)
def test_an_unusable_database_is_said_in_one_sentence(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "mlflow.db")
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), tmp_path).aliases("demand")


FIRST_USE = """
import sys, threading
from pathlib import Path
from understudy.hooks.registry.registry import Registry
home = Path(sys.argv[1])
def use(): print(Registry(f"sqlite:///{home}/mlflow.db", home.as_uri(), home).aliases("demand"))
threads = [threading.Thread(target=use) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_many_first_users_make_one_registry(tmp_path: Path) -> None:
    users = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", FIRST_USE, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(PLUGINS)},
            cwd=tmp_path,
        )
        for _ in range(2)
    ]
    told = [user.communicate(timeout=300) for user in users]
    assert [(out.count(b"{}"), err) for out, err in told] == [(3, b"")] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_registry_that_somebody_else_makes_meanwhile_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    real = os.link

    def somebody_is_faster(source: Path, target: Path) -> None:
        real(source, target)
        real(source, target)

    monkeypatch.setattr(os, "link", somebody_is_faster)
    with RegistryClient(uri, tmp_path.as_uri()).asking() as client:
        assert client.search_registered_models() == []
