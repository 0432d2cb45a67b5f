"""Which Docker engine is asked where the deployment names none."""

import hashlib
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.runners.engine import local_client


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answer what a client asks first: the version."""


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"ApiVersion": "1.44", "Version": "desktop"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run an engine that listens where only Docker's current context says, as Docker Desktop does."""
    socket = tmp_path / "desktop.sock"
    config = tmp_path / "config"
    meta = config / "contexts" / "meta" / hashlib.sha256(b"desktop-linux").hexdigest()
    meta.mkdir(parents=True)
    (config / "config.json").write_text(json.dumps({"currentContext": "desktop-linux"}))
    endpoints = {"docker": {"Host": f"unix://{socket}", "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": "desktop-linux", "Metadata": {}, "Endpoints": endpoints}))
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    with Engine(str(socket), Answer) as engine:
        threading.Thread(target=engine.serve_forever, args=(0.01,), daemon=True).start()
        yield socket
        engine.shutdown()


@pytest.mark.usefixtures("desktop")
def test_the_engine_of_dockers_current_context_is_asked() -> None:
    client = local_client(5)
    try:
        assert client.version()["Version"] == "desktop"
    finally:
        client.close()


def test_what_the_environment_names_comes_first(desktop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = desktop.with_name("other.sock")
    desktop.rename(other)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{other}")
    client = local_client(5)
    try:
        assert client.version()["Version"] == "desktop"
    finally:
        client.close()
