"""Airflow's API as a server that answers as scripted."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from understudy.embedded.airflow_api import AirflowApi
from understudy.embedded.airflow_client import _patience

Answers = dict[tuple[str, str], list[tuple[int, Any]]]
SILENT = 0
"""Instead of a status: the connection ends without an answer."""


class FakeAirflow:
    """Answer as scripted, the last answer for ever; remember what was asked."""

    def __init__(self) -> None:
        self.answers: Answers = {("POST", "/auth/token"): [(201, {"access_token": "t"})]}
        self.asked: list[tuple[str, str, Any]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                path = self.path.partition("?")[0]
                fake.asked.append((self.command, path, body))
                scripted = fake.answers.get((self.command, path), [(404, {"detail": "not here"})])
                status, content = scripted.pop(0) if len(scripted) > 1 else scripted[0]
                if status == SILENT:
                    return
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            do_GET = do_POST = do_PATCH = do_PUT = answer

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def api(self) -> AirflowApi:
        return AirflowApi(f"http://127.0.0.1:{self.server.server_port}", "admin", "secret")


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    monkeypatch.setattr("understudy.embedded.airflow_api.POLL_S", 0.01)
    monkeypatch.setattr("understudy.embedded.airflow_client.LONGEST_PAUSE_S", 0.01)
    _patience.cache_clear()
    fake = FakeAirflow()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
    _patience.cache_clear()
