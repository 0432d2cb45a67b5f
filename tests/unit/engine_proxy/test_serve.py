"""Between a client and the engine: what goes through, and what does not."""

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.unit.engine_proxy.fake_engine import (
    NAMES,
    OTHER_IMAGE,
    OURS,
    STACK,
    STARTED,
    THEIRS,
    FakeEngine,
    say,
    written,
)
from tests.unit.engine_proxy.sent import by_runner, document, job, runner_at, version
from understudy.contract.words import JobState
from understudy.engine_proxy.description import STACK_LABEL
from understudy.gateway.container_engine import ContainerEngine
from understudy.runners.docker import DockerRunner
from understudy.runners.engine import named_client
from understudy.runners.errors import (
    EngineRefused,
    ImageMissing,
    ImageWithoutEntryPoint,
)

CREATE = "/v1.41/containers/create?name=understudy-x"
JSON = "Content-Type: application/json"


def test_all_that_a_runner_asks_goes_through(port: int, engine: FakeEngine, tmp_path: Path) -> None:
    runner, asked = runner_at(port, tmp_path), job(tmp_path)
    assert runner.find(asked.name) is None
    job_id = runner.submit(asked, {"password": SecretStr("x")})
    assert engine.attached.is_set()
    assert runner.find(asked.name) == job_id
    assert runner.status(job_id).state is JobState.CREATED
    assert [line.text for line in runner.stream_logs(job_id)] == ["said"]
    assert runner.result(job_id, asked.outputs) == b"{}"
    assert runner.leftovers() == []
    assert runner.image_digest(asked.image) == "sha256:1"
    runner.remove(job_id)
    runner.client.close()
    made = "e" * 64
    assert [line for line in engine.acts if "version" not in line] == [
        "POST /v1.41/containers/create?name=understudy-new",
        f"PUT /v1.41/containers/{made}/archive?path=%2Funderstudy",
        f"POST /v1.41/containers/{made}/attach?stdin=1&stream=1",
        f"POST /v1.41/containers/{made}/start",
        f"GET /v1.41/containers/{made}/logs?follow=0&stdout=1&stderr=1",
        f"GET /v1.41/containers/{made}/archive?path=%2Funderstudy%2Fanswer",
        "GET /v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22org.understudy.home%3Dd%22%2C%22"
        f"org.understudy.stack%3D{STACK}%22%5D%7D",
        f"DELETE /v1.41/containers/{made}?v=1&link=0&force=1",
    ]


def test_all_that_a_gateway_asks_goes_through(port: int, engine: FakeEngine, tmp_path: Path) -> None:
    gateway = ContainerEngine("g", named_client(f"tcp://127.0.0.1:{port}", None))
    attached = gateway.start(version(tmp_path))
    attached.sock.setblocking(True)
    attached.sock.sendall(b"frame")
    assert attached.sock.recv(100) == b"FRAME"
    assert gateway.rss_bytes(attached.container) == 12
    assert gateway.sweep() == 0
    attached.sock.shutdown(socket.SHUT_WR)
    assert attached.sock.recv(100) == b" bye", "the container's last words come after the end of its input"
    attached.sock.close()
    assert engine.input_ended.wait(20)
    gateway.remove(attached.container)
    assert engine.acts[-1].startswith("DELETE ")


def test_a_container_s_input_ends_with_its_gateway(port: int, engine: FakeEngine, tmp_path: Path) -> None:
    attached = ContainerEngine("g", named_client(f"tcp://127.0.0.1:{port}", None)).start(version(tmp_path))
    attached.sock.close()
    assert engine.input_ended.wait(20)


def test_what_is_created_is_what_was_vetted_and_not_what_was_sent(port: int, engine: FakeEngine) -> None:
    padded = by_runner().replace(b"{", b"{ \n", 1)
    assert say(port, written("POST", CREATE, padded, JSON))[0] == 201
    (made,) = (told for told in engine.told if "create" in told.line)
    assert b"\n" not in made.body
    assert document(made.body)["Labels"][STACK_LABEL] == STACK


ACTS = [
    ("GET", "/json"),
    ("POST", "/start"),
    ("GET", "/logs?follow=0&stdout=1&stderr=1"),
    ("GET", "/stats?stream=0&one-shot=1"),
    ("GET", "/archive?path=/understudy/answer"),
    ("DELETE", "?v=1&force=1"),
]


@pytest.mark.parametrize("name", [THEIRS, NAMES[THEIRS]])
@pytest.mark.parametrize(("method", "what"), ACTS)
def test_a_container_of_somebody_else_is_left_alone(
    port: int, engine: FakeEngine, name: str, method: str, what: str
) -> None:
    told = say(port, written(method, f"/v1.41/containers/{name}{what}"))
    assert told[0] == 403
    assert "this stack did not make it" in told[1]
    assert engine.acts == []


@pytest.mark.parametrize(
    "config", [None, {}, {"Labels": None}], ids=["no configuration", "none of labels", "no labels"]
)
def test_what_has_no_labels_at_all_is_somebody_else_s(
    port: int, engine: FakeEngine, config: dict[str, Any] | None
) -> None:
    engine.containers[THEIRS]["Config"] = config
    engine.images[OTHER_IMAGE]["Config"] = config
    assert say(port, written("POST", f"/v1.41/containers/{THEIRS}/start"))[0] == 403
    other = by_runner().replace(b"understudy-stage:1", OTHER_IMAGE.encode())
    status, message = say(port, written("POST", CREATE, other, JSON))
    assert (status, "'Image' is none that runs stages" in message) == (403, True)
    assert engine.acts == []


def test_a_container_whose_state_nobody_knows_takes_no_files(port: int, engine: FakeEngine) -> None:
    engine.containers[OURS]["State"] = None
    status, message = say(port, written("PUT", f"/v1.41/containers/{OURS}/archive?path=/understudy", b"tar"))
    assert (status, "has been started" in message) == (403, True)
    assert engine.acts == []


def test_an_engine_that_answers_otherwise_than_docker_is_none(port: int, engine: FakeEngine) -> None:
    engine.containers[OURS] = ["a list"]
    status, message = say(port, written("POST", f"/v1.41/containers/{OURS}/start"))
    assert (status, "it answers in another language" in message) == (502, True)
    assert engine.acts == []


def test_what_is_refused_leaves_a_line_in_the_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    assert say(port, b"DELETE /v1.41/images/\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n")[0] in {400, 403}
    assert say(port, written("DELETE", f"/v1.41/images/{'x' * 999}"))[0] == 403
    told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert told[-1].startswith("DELETE '/v1.41/images/xxx")
    assert "docker-proxy does not hand on" in told[-1]
    assert all(one.isascii() and len(one) < 999 for one in told)


def test_nobody_attaches_to_or_fills_somebody_else_s_container(port: int, engine: FakeEngine) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: tcp")
    assert say(port, written("POST", f"/v1.41/containers/{THEIRS}/attach?stdin=1&stream=1", "", *upgrade))[0] == 403
    assert say(port, written("PUT", f"/v1.41/containers/{THEIRS}/archive?path=/understudy", b"tar"))[0] == 403
    assert engine.acts == []


def test_a_container_of_ours_is_acted_on_by_its_id_whatever_it_was_called_by(port: int, engine: FakeEngine) -> None:
    assert say(port, written("POST", f"/v1.41/containers/{NAMES[OURS]}/start"))[0] == 204
    assert engine.acts == [f"POST /v1.41/containers/{OURS}/start"]


def test_the_list_has_only_containers_of_the_stack(port: int, engine: FakeEngine) -> None:
    assert say(port, written("GET", "/v1.41/containers/json?all=1"))[0] == 200
    assert f"org.understudy.stack%3D{STACK}" in engine.told[-1].line
    for filters in (
        '{"name":["x"]}',
        '{"label":"x"}',
        '{"label":{"x":true}}',
        '{"label":[1]}',
        '{"label":["a",1]}',
        '{"label":["a"],"id":["x"]}',
        "x",
        "[]",
    ):
        status, _ = say(port, written("GET", f"/v1.41/containers/json?filters={filters}"))
        assert status in {400, 403}, filters
    assert len(engine.told) == 1


def test_files_go_only_into_what_has_not_started(port: int, engine: FakeEngine) -> None:
    archive = "/archive?path=/understudy"
    assert say(port, written("PUT", f"/v1.41/containers/{OURS}{archive}", b"tar"))[0] == 200
    assert engine.told[-1].body == b"tar"
    status, message = say(port, written("PUT", f"/v1.41/containers/{STARTED}{archive}", b"tar"))
    assert (status, "has been started" in message) == (403, True)
    assert say(port, written("PUT", f"/v1.41/containers/{OURS}/archive", b"tar"))[0] == 403


def test_of_an_image_only_what_ours_need_is_told(port: int, tmp_path: Path) -> None:
    runner = runner_at(port, tmp_path)
    facts = runner.client.inspect_image(OTHER_IMAGE)
    assert facts == {"Id": "sha256:2", "RepoTags": None, "RepoDigests": None, "Config": {"Labels": {}}}
    with pytest.raises(ImageWithoutEntryPoint):
        runner.submit(job(tmp_path).model_copy(update={"image": OTHER_IMAGE}), {})
    with pytest.raises(ImageMissing):
        runner.submit(job(tmp_path).model_copy(update={"image": "nobody/builds-this:0"}), {})
    runner.client.close()


def test_an_image_that_runs_no_stages_runs_nothing(port: int, engine: FakeEngine) -> None:
    other = by_runner().replace(b"understudy-stage:1", OTHER_IMAGE.encode())
    status, message = say(port, written("POST", CREATE, other, JSON))
    assert (status, "'Image' is none that runs stages" in message) == (403, True)
    missing = by_runner().replace(b"understudy-stage:1", b"nobody/builds-this:0")
    assert say(port, written("POST", CREATE, missing, JSON)) == (404, "No such image: it")
    assert engine.acts == []


@pytest.mark.parametrize(
    "name",
    ["", "?name=", "?name=postgres", "?name=understudy-", "?name=understudy-a%2fb", "?name=understudy-a&platform=x"],
)
def test_a_container_is_called_as_ours_are(port: int, engine: FakeEngine, name: str) -> None:
    assert say(port, written("POST", f"/v1.41/containers/create{name}", by_runner(), JSON))[0] == 403
    assert engine.acts == []


def test_the_refusal_reaches_the_task_s_log_as_one_sentence(port: int, tmp_path: Path) -> None:
    runner = DockerRunner(
        deployment="d",
        workspace=tmp_path,
        workspace_on_daemon="/srv",
        open_client=named_client(f"tcp://127.0.0.1:{port}", None),
    )
    with pytest.raises(EngineRefused) as refused:
        runner.submit(job(tmp_path), {})
    runner.client.close()
    assert str(refused.value) == (
        "The Docker engine refused: docker-proxy creates no such container: 'HostConfig.Mounts' has more or fewer "
        "entries than a stage's. Leave AIRFLOW__UNDERSTUDY__WORKSPACE_ON_DAEMON empty, so that files are copied "
        "through the API."
    )


@pytest.mark.parametrize("body", ['{"Binds":["/etc:/host:ro"],"CapAdd":["NET_RAW"]}', '{"Privileged":true}', "{}", " "])
@pytest.mark.parametrize("path", ["/v1.23", "/v1.41", ""])
def test_a_start_has_no_body(port: int, engine: FakeEngine, path: str, body: str) -> None:
    assert say(port, written("POST", f"{path}/containers/{OURS}/start", body, JSON))[0] in {400, 403}
    chunks = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    chunked = f"POST {path}/containers/{OURS}/start HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
    assert say(port, chunked.encode())[0] in {400, 403}
    assert engine.acts == []


BAD = written("POST", "/v1.41/containers/x/exec", "{}")
HARMLESS = b"GET /_ping HTTP/1.1\r\nHost: x\r\n"
NO_CHUNKS = b"\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(HARMLESS + b"\r\n" + BAD, id="a second request behind the first"),
        pytest.param(written("GET", "/_ping", BAD), id="a request as the body of another"),
        pytest.param(HARMLESS + b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n" + BAD, id="two lengths"),
        pytest.param(HARMLESS + b"Content-Length: 9\r\nTransfer-Encoding: chunked" + NO_CHUNKS + BAD, id="both"),
        pytest.param(HARMLESS + b"Transfer-Encoding: xchunked" + NO_CHUNKS + BAD, id="an unknown coding"),
        pytest.param(HARMLESS + b"Transfer-Encoding: chunked, identity" + NO_CHUNKS + BAD, id="two codings"),
        pytest.param(HARMLESS + b"Transfer-Encoding : chunked" + NO_CHUNKS + BAD, id="a space before the colon"),
        pytest.param(b"GET /_ping HTTP/1.1\nHost: x\n\n" + BAD, id="bare line feeds"),
        pytest.param(HARMLESS + b"X: a\r\n b\r\n\r\n" + BAD, id="a folded line"),
        pytest.param(HARMLESS + b"X: a\rb\r\n\r\n" + BAD, id="a bare carriage return"),
        pytest.param(HARMLESS + b"X: a\x00b\r\n\r\n", id="a zero"),
        pytest.param(b"GET /_ping\r\n\r\n", id="no version"),
        pytest.param(b"CONNECT /_ping HTTP/1.1\r\nHost: x\r\n\r\n" + BAD, id="a tunnel"),
        pytest.param(HARMLESS + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + BAD, id="another protocol"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01", id="TLS"),
        pytest.param(HARMLESS + b"X: " + b"x" * 40_000 + b"\r\n\r\n", id="an endless head"),
    ],
)
def test_a_request_that_two_readers_could_read_differently_goes_nowhere(
    port: int, engine: FakeEngine, sent: bytes
) -> None:
    status, message = say(port, sent)
    assert status in {400, 403, 413}
    assert message.startswith("docker-proxy ")
    assert engine.told == []


def test_two_requests_on_one_connection_never_become_one(port: int, engine: FakeEngine) -> None:
    halves = written("GET", f"/v1.41/containers/{OURS}") + written("GET", "/json")
    assert say(port, halves)[0] in {400, 403}
    status, message = say(port, written("GET", "/_ping") + written("GET", "/_ping"))
    assert (status, "another one follows on the same connection" in message) == (400, True)
    assert engine.told == []


def test_a_body_that_is_announced_and_does_not_come_is_not_waited_for_where_none_belongs(
    port: int, engine: FakeEngine
) -> None:
    announced = written("POST", f"/v1.41/containers/{OURS}/start", None, "Content-Length: 2")
    status, message = say(port, announced)
    assert (status, "it has a body, where none belongs" in message) == (400, True)
    assert engine.told == []


def test_who_hangs_up_in_the_middle_of_a_request_asked_nothing(port: int, engine: FakeEngine) -> None:
    cut_off = written("POST", CREATE, by_runner(), JSON)[:-1]
    for sent, told in ((b"GET /_ping HTTP/1.1\r\n", b"it ends early"), (cut_off, b""), (b"", b"")):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            heard = b""
            while chunk := client.recv(65536):
                heard += chunk
        assert told in heard
        assert bool(heard) == bool(told), "what was no whole request has no answer"
    assert engine.told == []


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_description_that_is_too_long_is_refused_however_it_comes(
    port: int, engine: FakeEngine, is_chunked: bool
) -> None:
    long = by_runner() + b" " * 200_000
    if is_chunked:
        head = f"POST {CREATE} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        request = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(long), long)
    else:
        request = written("POST", CREATE, long, JSON)
    status, message = say(port, request)
    assert (status, "65,536 bytes at most" in message) == (413, True)
    assert engine.told == []
