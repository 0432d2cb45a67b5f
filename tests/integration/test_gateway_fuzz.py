"""Whatever anybody sends: never a 5xx, always the shape that the gateway's own document promises, and it lives on."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import checks

from tests.integration.almost_right import CSV, MLFLOW, SECRET, SPOILED, V2
from tests.integration.bad_requests import ADMIN, BODY_LIMIT, GOOD, HOSTILE, HOSTILE_V2, LOGGED, PATHS, RAW
from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    TOKEN,
    Running,
    Trained,
    connect,
    lay_out,
    order_of,
    read_all,
    running,
    until,
)
from understudy.gateway.log.compact import compact
from understudy.gateway.log.read import read
from understudy.gateway.openapi import document

BOUNDED = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=True
)


def fuzzed() -> Any:
    """Give the gateway's document, in which names that mean something here are likelier than any others."""
    api = json.loads(json.dumps(document()))
    model = {"type": "string", "enum": [MODEL, MODEL, MODEL, "nobody", "no/body", "..", "\u00e9\n"]}
    for path in api["paths"].values():
        for parameter in path.get("parameters", ()):
            parameter["schema"] = model
    return schemathesis.openapi.from_dict(api)


API = fuzzed()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Iterator[Running]:
    home = lay_out(tmp_path_factory.mktemp("home"), trained)
    with running(home, max_body_bytes=BODY_LIMIT, header_timeout_s=0.5, body_timeout_s=0.5) as found:
        found.serve(order_of(trained, 1, 1))
        yield found
        assert found.process.poll() is None
        assert found.score().status_code == 200


@API.parametrize()  # type: ignore[untyped-decorator]
@settings(BOUNDED, max_examples=60)
def test_every_answer_is_one_that_the_document_names(gateway: Running, case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(
        base_url=gateway.url,
        checks=[
            checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
            checks.response_headers_conformance,
        ],
    )


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: bytes


def judge(reply: Reply, is_v2: bool, statuses: set[int]) -> None:
    """See that an answer is one of the document's, in one sentence, without what was sent."""
    assert reply.status in statuses, reply
    given = json.loads(reply.body)
    known = document()["components"]["schemas"]
    shapes = ("V2Answer", "V2Problem") if is_v2 else ("MlflowAnswer", "MlflowProblem")
    shape = {**known[shapes[reply.status >= 400]], "components": {"schemas": known}}
    jsonschema.validate(given, shape)
    if reply.status >= 400:
        sentence = given["error" if is_v2 else "message"]
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert "Traceback" not in sentence
        assert SECRET.encode() not in reply.body


class Door(NamedTuple):
    """A gateway with a connection that stays open."""

    gateway: Running
    client: httpx.Client

    def post(self, path: str, body: bytes, content_type: str | None = "application/json") -> Reply:
        headers = {} if content_type is None else {"content-type": content_type}
        answer = self.client.post(f"{self.gateway.url}{path}", content=body, headers=headers)
        return Reply(answer.status_code, answer.content)


@pytest.fixture(scope="module")
def door(gateway: Running) -> Iterator[Door]:
    with httpx.Client(timeout=PATIENCE_S) as client:
        yield Door(gateway, client)


@given(body=MLFLOW)
@settings(BOUNDED, max_examples=300)
def test_rows_that_are_almost_right_are_scored_or_refused(door: Door, body: Any) -> None:
    judge(door.post(PATHS[False], json.dumps(body).encode()), False, {200, 400})


@given(body=V2)
@settings(BOUNDED, max_examples=300)
def test_tensors_that_are_almost_right_are_scored_or_refused(door: Door, body: Any) -> None:
    judge(door.post(PATHS[True], json.dumps(body).encode()), True, {200, 400, 413})


@given(body=V2, version=st.sampled_from(["1", "2", "77", "01", "x", "%00", "1%2e0", "%D9%A1"]))
@settings(BOUNDED, max_examples=100)
def test_tensors_for_one_version_are_scored_or_refused(door: Door, body: Any, version: str) -> None:
    path = f"/v2/models/{MODEL}/versions/{version}/infer"
    judge(door.post(path, json.dumps(body).encode()), True, {200, 400, 404, 413})


@given(body=SPOILED, is_v2=st.booleans())
@settings(BOUNDED, max_examples=200)
def test_spoiled_bytes_are_scored_or_refused(door: Door, body: bytes, is_v2: bool) -> None:
    judge(door.post(PATHS[is_v2], body), is_v2, {200, 400})


@given(body=CSV)
@settings(BOUNDED, max_examples=200)
def test_any_csv_is_scored_or_refused(door: Door, body: bytes) -> None:
    judge(door.post(PATHS[False], body, "text/csv"), False, {200, 400})


@pytest.mark.parametrize("case", HOSTILE)
def test_bad_input_gets_one_sentence_in_mlflows_shape(door: Door, case: str) -> None:
    body, statuses = HOSTILE[case]
    judge(door.post(PATHS[False], body), False, statuses)


@pytest.mark.parametrize("case", HOSTILE_V2)
def test_bad_input_gets_one_sentence_in_v2s_shape(door: Door, case: str) -> None:
    body, statuses = HOSTILE_V2[case]
    judge(door.post(PATHS[True], body), True, statuses)


@pytest.mark.parametrize("is_v2", [False, True])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/x-protobuf"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/json; boundary=zq7-anna-example-org"}, 415),
        ({"content-type": "zq7-anna-example-org"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json", "x-understudy-probe": "zq7-anna-example-org"}, 401),
    ],
)
def test_wrong_headers_get_one_sentence(door: Door, headers: dict[str, str], status: int, is_v2: bool) -> None:
    answer = door.client.post(f"{door.gateway.url}{PATHS[is_v2]}", content=GOOD, headers=headers)
    judge(Reply(answer.status_code, answer.content), is_v2, {status})


def test_a_model_that_nobody_knows_and_a_method_that_nobody_takes_get_one_sentence(door: Door) -> None:
    judge(door.post("/models/zq7-anna-example-org/invocations", GOOD), False, {404})
    judge(door.post("/v2/models/zq7-anna-example-org/infer", GOOD), True, {404})
    judge(door.post(f"/v2/models/{MODEL}/versions/zq7-anna-example-org/infer", GOOD), True, {404})
    judge(door.post(PATHS[False], GOOD, None), False, {400})
    for is_v2, path in PATHS.items():
        answer = door.client.get(f"{door.gateway.url}{path}")
        judge(Reply(answer.status_code, answer.content), is_v2, {405})


def test_whatever_was_answered_can_be_read_from_the_log_and_compacted(door: Door, tmp_path: Path) -> None:
    for case, (path, body, content_type) in LOGGED.items():
        headers = {"x-request-id": case, "content-type": content_type}
        status = door.client.post(f"{door.gateway.url}{path}", content=body, headers=headers).status_code
        assert (status >= 400) == case.startswith("refused"), case

    def logged() -> set[str]:
        return set(door.gateway.log()["client_id"]) & set(LOGGED)

    until(lambda: logged() == set(LOGGED))
    # The gateway still writes to its own; nobody writes to the copy.
    log = tmp_path / "log"
    shutil.copytree(door.gateway.home / "gateway" / "log" / MODEL, log)
    before = read(log)
    assert compact(log).rows == before.height
    assert read(log)["request_id"].to_list() == before["request_id"].to_list()


def test_refused_rows_are_in_the_log_as_refused(door: Door) -> None:
    name = {"x-request-id": "the-refused-one", "content-type": "application/json"}
    assert door.client.post(f"{door.gateway.url}{PATHS[False]}", content=b"{", headers=name).status_code == 400

    def logged() -> list[int]:
        rows = door.gateway.log()
        return list(rows.filter(rows["client_id"] == "the-refused-one")["status"])

    until(lambda: logged() == [400])


@pytest.mark.parametrize("case", RAW)
def test_what_is_hardly_http_is_answered_counted_and_closed(gateway: Running, case: str) -> None:
    parts, expected = RAW[case]
    before = turned_away(gateway)
    with connect(gateway) as connection:
        # Those who are refused early are not read to their end, and see that by a broken connection.
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        answered = read_all(connection)
    assert answered.startswith(b"HTTP/1.1 ")
    assert answered[9:12] in expected
    if answered[9:12] in {b"400", b"408", b"413", b"431"}:
        until(lambda: turned_away(gateway) > before)


def turned_away(gateway: Running) -> int:
    return sum(httpx.get(f"{gateway.url}/health", timeout=PATIENCE_S).json()["turned_away"].values())


@pytest.mark.parametrize("case", ADMIN)
def test_bad_orders_get_one_sentence_and_nothing_is_told_without_the_token(door: Door, case: str) -> None:
    method, path, content, status = ADMIN[case]
    url = f"{door.gateway.url}/admin/models/{path}"
    token = {"authorization": f"Bearer {TOKEN.get_secret_value()}", "x-artefact-sha256": "0" * 64}
    answer = door.client.request(method, url, content=content, headers=token)
    assert answer.status_code == status, answer.text
    assert answer.json()["problem"].endswith(".")
    assert "\n" not in answer.json()["problem"]
    unknown = door.client.request(method, url, content=content, headers={"authorization": "Bearer guessed"})
    assert unknown.status_code in {401, 404}
