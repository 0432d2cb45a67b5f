"""A gateway in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.fake_gateway import TOKEN
from understudy.settings import PROJECT

PATIENCE_S = 120.0
GATEWAY = """
import sys
from pathlib import Path
from understudy.gateway.config import GatewayConfig
from understudy.gateway.serve import serve

name, state, bundles, token = sys.argv[1:]
config = GatewayConfig(name=name, port=0, state_dir=Path(state), bundles_dir=Path(bundles), token=token)
serve(config, lambda url: print(url, flush=True))
"""


@contextmanager
def gateway(name: str, state: Path, bundles: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, name, str(state), str(bundles), TOKEN.get_secret_value()],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "plugins")},
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://")
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
