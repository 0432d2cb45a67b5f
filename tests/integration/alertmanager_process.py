"""Alertmanager as a process, with the project's own configuration."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx

from tests.unit.monitoring.alertmanager import SERVER, configured

PATIENCE_S = 60.0
"""Alerts are grouped for ten seconds before they are sent."""


def wait(until: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE_S
    while not until():
        assert monotonic() < deadline
        sleep(0.1)


@contextmanager
def alertmanager(folder: Path, **settings: str) -> Iterator[httpx.Client]:
    config = configured(folder, **settings)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served = [f"--config.file={config}", f"--storage.path={folder / 'storage'}", "--cluster.listen-address="]
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen(
            [str(SERVER), *served, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        ) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):

        def is_ready() -> bool:
            assert server.poll() is None, (folder / "log").read_text(encoding="utf-8")
            try:
                return client.get("/-/ready").is_success
            except httpx.TransportError:
                return False

        try:
            wait(is_ready)
            yield client
        finally:
            server.kill()
