"""Sources behind a URL, served by a real web server on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from understudy.stages import Refused
from understudy.stages.download import download, without_secrets


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answers = {"/good.csv": (200, 4), "/short.csv": (200, 400), "/busy.csv": (503, 4)}
        status, promised = answers.get(self.path, (404, 4))
        self.send_response(status)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(b"a,b\n")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def site() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched(site: str, tmp_path: Path) -> None:
    download(f"{site}/good.csv", tmp_path / "got.csv")
    assert (tmp_path / "got.csv").read_text() == "a,b\n"


def test_a_missing_page_is_refused_without_the_key_in_its_address(site: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="answers 404") as refused:
        download(f"{site}/none.csv?key=hunter2", tmp_path / "got.csv")
    assert "hunter2" not in refused.value.message


def test_a_busy_server_and_a_broken_line_are_worth_another_try(site: str, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="answers 503"):
        download(f"{site}/busy.csv", tmp_path / "got.csv")
    with pytest.raises(ConnectionError, match="broke off after 4 of 400"):
        download(f"{site}/short.csv", tmp_path / "got.csv")


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="use http:// or https://"):
        download("file:///etc/passwd", tmp_path / "got.csv")


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert without_secrets("https://me:hunter2@example.org:8443/a.csv?sig=x") == "https://example.org:8443/a.csv"
