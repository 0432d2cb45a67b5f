"""Sources behind a URL, served by a real web server on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from understudy.stages import Refused
from understudy.stages.errors import SourceUnreachable
from understudy.stages.read.download import download, without_secrets


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/cut.csv":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\na,b\n")
            return
        if self.path == "/between.csv":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na,b\n\r\n4\r\n1,2\n\r\n")
            return
        if self.path == "/endless.csv?key=hunter2":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na,b\n1,2\n")
            return
        if self.path == "/secret.csv" and self.headers["Authorization"] != "Basic bWU6aHVudGVyMg==":
            self.send_error(401)
            return
        if self.path == "/moved.csv":
            self.send_response(302)
            self.send_header("Location", "/secret.csv")
            self.end_headers()
            return
        answers = {"/short.csv": (200, 400), "/busy.csv": (503, 4)}
        answers |= dict.fromkeys(("/good.csv", "/a%20b%C3%A9.csv?q=x%20y", "/secret.csv"), (200, 4))
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
    for name, expected in (
        ("busy.csv", "answers 503"),
        ("short.csv", "broke off after 4 of 400 bytes"),
        ("cut.csv", "broke off, or gave no HTTP"),
        ("between.csv", "broke off, or gave no HTTP"),
    ):
        with pytest.raises(SourceUnreachable, match=rf"^data.source: {site}/{name} {expected}.*tried again"):
            download(f"{site}/{name}", tmp_path / "got.csv")
    with pytest.raises(SourceUnreachable, match=r"http://127\.0\.0\.1:1/x does not answer \(.*refused"):
        download("http://127.0.0.1:1/x", tmp_path / "got.csv")


def test_an_answer_whose_end_only_the_connection_tells_is_taken_with_a_warning(
    site: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, warned in (("endless.csv?key=hunter2", 1), ("good.csv", 0)):
        caplog.clear()
        download(f"{site}/{name}", tmp_path / "got.csv")
        assert len(caplog.records) == warned
        assert caplog.text.count(f"{site}/endless.csv does not say how long its answer is, so nobody") == warned
        assert "hunter2" not in caplog.text


def test_an_address_is_escaped_as_a_browser_would(site: str, tmp_path: Path) -> None:
    download(f"{site}/a bé.csv?q=x y", tmp_path / "got.csv")
    assert (tmp_path / "got.csv").read_text() == "a,b\n"


def test_a_user_and_password_go_to_that_server_and_into_no_message_or_redirect(site: str, tmp_path: Path) -> None:
    account = site.replace("http://", "http://me:hunter2@")
    download(f"{account}/secret.csv", tmp_path / "got.csv")
    assert (tmp_path / "got.csv").read_text() == "a,b\n"
    with pytest.raises(Refused, match=r"moved\.csv answers 401") as refused:
        download(f"{account}/moved.csv", tmp_path / "got.csv")
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("url", ["http://[bad", "http:///x", "http://127.0.0.1:99999/x"])
def test_what_is_no_address_is_refused_in_one_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"is not a usable address|cannot be downloaded"):
        download(url, tmp_path / "got.csv")


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="use http:// or https://"):
        download("file:///etc/passwd", tmp_path / "got.csv")


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert without_secrets("https://me:hunter2@example.org:8443/a.csv?sig=x") == "https://example.org:8443/a.csv"
