"""The socket of the engine that tests ask, and our proxy before it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LOCAL = "unix://"


def engine_socket() -> str:
    """Find the socket; skip the test where the engine has none on this machine."""
    socket = os.environ.get("DOCKER_HOST", f"{LOCAL}/var/run/docker.sock").removeprefix(LOCAL)
    if not Path(socket).is_socket():
        pytest.skip(f"the engine is not at a socket of this machine ({socket}), so nothing can be put before it")
    return socket


@contextmanager
def engine_proxy(stack: str, port: int = 0, gpus: int = 0) -> Iterator[int]:
    """Start the proxy that docker-compose.yaml puts before the engine; give its port."""
    command = [sys.executable, "-m", "understudy.engine_proxy", f"--port={port}", f"--stack={stack}", f"--gpus={gpus}"]
    with subprocess.Popen([*command, f"--socket={engine_socket()}"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        listening = re.search(r"Listening on 127.0.0.1:(\d+)", running.stdout.readline())
        assert listening is not None
        try:
            yield int(listening[1])
        finally:
            running.terminate()
