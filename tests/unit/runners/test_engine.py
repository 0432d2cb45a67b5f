"""Which Docker engine is asked where the deployment names none."""

import hashlib
import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from docker.errors import APIError, DockerException

from understudy.runners.engine import Tls, in_plain_words, local_client, named_client, why_silent
from understudy.runners.errors import EngineRefused, EngineUnreachable, NoEngineBehindProxy, RunnerError


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


def answered(status: int, told: str) -> APIError:
    response = requests.Response()
    response.status_code, response.url, response.reason = status, "http+docker://localhost/version", "whatever"
    return APIError("said", response, told)


PAGE = "<html><body><h1>503 Service Unavailable</h1>"


@pytest.mark.parametrize(
    ("answer", "expected", "told"),
    [
        (
            answered(502, "docker-proxy does not reach the Docker engine (x). Start it."),
            NoEngineBehindProxy,
            "(x). Start",
        ),
        (answered(502, "<html>Bad Gateway"), NoEngineBehindProxy, "behind the proxy: it answers with HTTP 502. Start"),
        (answered(503, PAGE), NoEngineBehindProxy, "behind the proxy: it answers with HTTP 503. Start the engine"),
        (
            answered(503, "docker-proxy serves 500 connections already"),
            EngineRefused,
            "refused: docker-proxy serves 500",
        ),
        (answered(500, "it is broken"), EngineRefused, "The Docker engine refused: it is broken"),
    ],
    ids=["ours", "bad gateway", "another's page", "ours is full", "an engine"],
)
@pytest.mark.parametrize("is_opening", [True, False], ids=["at the first word", "later"])
def test_what_a_proxy_says_for_an_engine_is_told_in_one_sentence(
    is_opening: bool, answer: APIError, expected: type[RunnerError], told: str
) -> None:
    def ask() -> None:
        if not is_opening:
            raise answer
        # As docker-py does when a client is opened.
        raise DockerException(f"Error while fetching server API version: {answer}") from answer

    with pytest.raises(expected) as found, in_plain_words("image:1"):
        ask()
    assert type(found.value) is expected
    assert told in str(found.value)
    assert "Error while fetching" not in str(found.value)
    assert "whatever" not in str(found.value)


@pytest.mark.parametrize("is_secured", [False, True], ids=["plain", "TLS"])
def test_an_engine_that_is_down_is_told_with_its_address(is_secured: bool, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{closed.getsockname()[1]}"
    (tmp_path / "ca.pem").touch()
    tls = Tls(ca=str(tmp_path / "ca.pem")) if is_secured else None
    refused = rf"^No Docker engine answers at {where} \(.*Connection refused"
    with pytest.raises(EngineUnreachable, match=refused), in_plain_words():
        named_client(f"tcp://{where}", tls)(5)


def test_a_local_socket_has_no_address_that_anybody_could_look_up() -> None:
    asked = requests.Request("GET", "http+docker://localhost/version").prepare()
    with pytest.raises(EngineUnreachable, match=r"^No Docker engine answers \(No such file\)"), in_plain_words():
        raise requests.ConnectionError("No such file", request=asked)


def test_the_doctor_hears_why_in_the_same_words() -> None:
    assert why_silent(answered(502, "docker-proxy does not reach the Docker engine (x).")).endswith("engine (x).")
    assert why_silent(ConnectionResetError("reset")) == "reset"
