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

from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    ROW,
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

BODY_LIMIT = 1 << 20
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


SECRET = "zq7-anna-example-org"
CELLS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from([SECRET, "1.5", "nan", "1e400", 10**400, -(10**30), "1_000", "\ud800", ""]),
    ),
    lambda cells: st.lists(cells, max_size=3) | st.dictionaries(st.sampled_from(["a", SECRET]), cells, max_size=2),
    max_leaves=4,
)
NAMES = st.lists(st.sampled_from(["a", "b", "c", "c", SECRET]), max_size=4) | st.just(["a", "b", "c"])
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", SECRET]), CELLS, max_size=4), max_size=4)
COLUMNS = st.dictionaries(st.sampled_from(["a", "b", "c", SECRET]), st.lists(CELLS, max_size=3) | CELLS, max_size=4)
GOOD_RECORDS = st.lists(st.fixed_dictionaries({"a": CELLS, "b": st.floats(), "c": st.integers()}), max_size=3)
MLFLOW = st.one_of(
    st.fixed_dictionaries(
        {
            "dataframe_split": st.fixed_dictionaries(
                {"columns": NAMES, "data": st.lists(st.lists(CELLS, min_size=2, max_size=4) | CELLS, max_size=3)},
                optional={"index": CELLS},
            )
        }
    ),
    *(
        st.fixed_dictionaries({form: RECORDS | GOOD_RECORDS | COLUMNS | CELLS})
        for form in ("dataframe_records", "instances", "inputs")
    ),
    CELLS,
)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c", SECRET]) | CELLS,
        "shape": st.lists(st.integers(-1, 4), max_size=3)
        | st.sampled_from([[1], [1, 3], [10**18], [2**63, 3]])
        | CELLS,
        "datatype": st.sampled_from(["FP64", "FP32", "INT64", "INT8", "UINT64", "BOOL", "BYTES", "FP16", SECRET])
        | CELLS,
        "data": st.lists(CELLS, max_size=4) | CELLS,
    }
)
V2 = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=4) | CELLS}, optional={"id": CELLS, "outputs": CELLS, "parameters": CELLS}
)
SPOILED = st.builds(
    lambda body, at, junk: body[: at % (len(body) + 1)] + junk + body[at % (len(body) + 1) :],
    st.one_of(MLFLOW, V2).map(lambda given: json.dumps(given).encode()),
    st.integers(0, 10_000),
    st.binary(max_size=4)
    | st.sampled_from([b"\xff", b"\x00", b"[" * 2000, b'{"a":' * 2000, b"1" * 5000, b"\xef\xbb\xbf"]),
)
CSV = st.builds(
    lambda head, rows: head + b"\n" + rows,
    st.sampled_from([b"a,b,c", b"a,b", b"a,b,c,d", b"a,a,b,c", b"", b'"a,b,c', b"\xff,b,c"]),
    st.binary(max_size=40) | st.text(alphabet='0123456789.,-\n"\r;eE', max_size=60).map(str.encode),
)
PATHS = {False: f"/models/{MODEL}/invocations", True: f"/v2/models/{MODEL}/infer"}


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


def row(cells: str) -> bytes:
    return b'{"dataframe_split":{"columns":["a","b","c"],"data":[[%b]]}}' % cells.encode()


GOOD = json.dumps(ROW).encode()
DEEP = 100_000
HOSTILE: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {400}),
    "half an object": (b"{", {400}),
    "no object": (b"[1, 2]", {400}),
    "no text": (b'{"dataframe_split": "\xff\xfe"}', {400}),
    "half a surrogate pair": (row('"\\ud800", 1, 1'), {400}),
    "a zero byte": (b"\x00" * 100, {400}),
    "two documents": (GOOD + GOOD, {400}),
    "no known field": (b'{"rows": [[1, 2, 3]]}', {400}),
    "two forms at once": (b'{"inputs": {"a": [1]}, "instances": [{"a": 1}]}', {400}),
    "another column": (b'{"dataframe_split":{"columns":["a","b","zq7-anna-example-org"],"data":[[1,2,3]]}}', {400}),
    "a missing column": (b'{"dataframe_split":{"columns":["a","b"],"data":[[1,2]]}}', {400}),
    "one column more": (b'{"dataframe_split":{"columns":["a","b","c","d"],"data":[[1,2,3,"x"]]}}', {200}),
    "a column twice": (b'{"dataframe_split":{"columns":["a","b","c","c"],"data":[[1,2,3,4]]}}', {400}),
    "rows of other lengths": (b'{"dataframe_split":{"columns":["a","b","c"],"data":[[1,2,3],[1]]}}', {400}),
    "no rows": (b'{"dataframe_split":{"columns":["a","b","c"],"data":[]}}', {400}),
    "no records": (b'{"dataframe_records":[]}', {400}),
    "a text for a number": (row('1, 2, "zq7-anna-example-org"'), {400}),
    "a list for a number": (row("1, 2, [3]"), {400}),
    "an object for a number": (row('1, 2, {"c": 3}'), {400}),
    "NaN and Infinity, as Python writes them": (row("NaN, Infinity, -Infinity"), {200}),
    "a number beyond any float": (row("1e400, -1e400, 3"), {200}),
    "a whole number beyond any float": (row(f"1, 2, {'9' * 4000}"), {400}),
    "a whole number that nobody parses": (row(f"1, 2, {'9' * 50_000}"), {400}),
    "one key twice": (GOOD[:-1] + b"," + GOOD[1:], {200}),
    "a deep list": (b"[" * DEEP, {400}),
    "a deep object": (b'{"a":' * DEEP, {400}),
    "a deep cell": (row(f"1, 2, {'[' * DEEP}{']' * DEEP}"), {400}),
    "more rows than may be": (
        json.dumps({"inputs": {name: list(range(1_001)) for name in "abc"}}).encode(),
        {413},
    ),
    "more bytes than may be": (b" " * (BODY_LIMIT + 1), {413}),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_bad_input_gets_one_sentence_in_mlflows_shape(door: Door, case: str) -> None:
    body, statuses = HOSTILE[case]
    judge(door.post(PATHS[False], body), False, statuses)


def tensors(cells: str, shape: str = "[1]", datatype: str = "FP64") -> bytes:
    only = [f'{{"name":"{name}","shape":{shape},"datatype":"{datatype}","data":{cells}}}' for name in "abc"]
    return f'{{"inputs":[{",".join(only)}]}}'.encode()


HOSTILE_V2: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {400}),
    "no text": (b'{"inputs": "\xff"}', {400}),
    "a deep list": (b"[" * DEEP, {400}),
    "MLflow's form": (GOOD, {400}),
    "no tensors": (b'{"inputs": []}', {400}),
    "no rows": (tensors("[]", "[0]"), {400}),
    "a shape that is a lie": (tensors("[1]", "[2]"), {400}),
    "a shape below nothing": (tensors("[1]", "[-1]"), {400}),
    "a shape beyond any memory": (tensors("[1]", "[1000000000000000000]"), {400, 413}),
    "a datatype that is none": (tensors("[1]", datatype="FP65"), {400}),
    "a datatype that is a list": (tensors("[1]").replace(b'"FP64"', b'["FP64"]'), {400}),
    "a text for a number": (tensors('["zq7-anna-example-org"]'), {400}),
    "NaN": (tensors("[NaN]"), {200}),
    "a number beyond any float": (tensors("[1e400]"), {200}),
    "data that are none": (tensors("null"), {400}),
    "binary data that were not sent": (
        b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","parameters":{"binary_data_size":8}}]}',
        {400},
    ),
    "more rows than may be": (tensors(str(list(range(1_001))), "[1001]"), {413}),
    "more bytes than may be": (b" " * (BODY_LIMIT + 1), {413}),
}


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


LOGGED: dict[str, tuple[str, bytes, str]] = {
    "refused": (PATHS[False], b"{}", "application/json"),
    "refused: a tensor as wide as memory": (
        PATHS[True],
        b'{"inputs":[{"name":"a","shape":[1,1000000000000],"datatype":"FP64","data":[1]}]}',
        "application/json",
    ),
    "a column that no model has, of many kinds": (
        PATHS[False],
        b'{"dataframe_split":{"columns":["a","b","c","d"],"data":[[1,2,3,{"x":[1]}],[1,2,3,"y"]]}}',
        "application/json",
    ),
    "a column that no model has, with a number beyond all": (
        PATHS[False],
        b'{"dataframe_split":{"columns":["a","b","c","d"],"data":[[NaN,2,3,%b]]}}' % (b"9" * 400),
        "application/json",
    ),
    "a column that no model has, deeper than is written": (
        PATHS[False],
        b'{"dataframe_split":{"columns":["a","b","c","d"],"data":[[1,2,3,%b%b]]}}' % (b"[" * 600, b"]" * 600),
        "application/json",
    ),
    "more columns than any model has": (
        PATHS[False],
        json.dumps({"inputs": {**{f"x{n}": [1] for n in range(12_000)}, "a": [1], "b": [2], "c": [3]}}).encode(),
        "application/json",
    ),
    "CSV with old line ends": (PATHS[False], b"a,b,c\r1,2,3\r", "text/csv"),
    "CSV with a short row": (PATHS[False], b"a,b,c\n1,2,3\n4,5\n", "text/csv"),
    "CSV with a name twice": (PATHS[False], b"a,b,c,a\n1,2,3,4\n", "text/csv"),
    "CSV with a cell as long as a book": (PATHS[False], b"a,b,c,d\n1,2,3," + b"x" * 200_000 + b"\n", "text/csv"),
}


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


HEAD = f"POST {PATHS[False]} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
CHUNKED = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
LENGTH = b"content-length: %d\r\n\r\n" % len(GOOD)
WHOLE = HEAD + LENGTH + GOOD
RAW: dict[str, tuple[list[bytes], set[bytes]]] = {
    "chunks": ([CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)], {b"200"}),
    "a chunk for each byte": ([CHUNKED, *(b"1\r\n%c\r\n" % byte for byte in GOOD), b"0\r\n\r\n"], {b"200"}),
    "chunks that are none": ([CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"], {b"400"}),
    "a chunk of an absurd size": ([CHUNKED, b"f" * 40 + b"\r\n"], {b"400"}),
    "a body that never ends": ([CHUNKED, *[b"10000\r\n" + b" " * 65_536 + b"\r\n"] * 200], {b"413"}),
    "a hundred megabytes": ([HEAD + b"content-length: 104857600\r\n\r\n", *[b" " * (1 << 20)] * 100], {b"413"}),
    "two lengths": ([HEAD + b"content-length: 1\r\n" + LENGTH + GOOD], {b"400"}),
    "a length and chunks": ([HEAD + b"transfer-encoding: chunked\r\n" + LENGTH + GOOD], {b"400"}),
    "a length below nothing": ([HEAD + b"content-length: -5\r\n\r\n"], {b"400"}),
    "a length beyond all": ([HEAD + b"content-length: " + b"9" * 40 + b"\r\n\r\n"], {b"400", b"413"}),
    "a length in other digits": ([HEAD + "content-length: ²\r\n\r\n".encode("latin-1")], {b"400"}),
    "rubbish": ([bytes(range(256)) * 4 + b"\r\n\r\n"], {b"400"}),
    "rubbish behind a request": ([WHOLE + b"\x00\x01rubbish\r\n\r\n"], {b"200", b"400"}),
    "ten requests at once": ([WHOLE * 10 + b"rubbish\r\n\r\n"], {b"200", b"400"}),
    "HTTP/2": ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], {b"400", b"404", b"405"}),
    "a huge header": ([HEAD + b"x-long: " + b"x" * 200_000 + b"\r\n\r\n"], {b"431", b"400"}),
    "headers without end": ([HEAD, *[b"x-more: 1\r\n"] * 20_000], {b"431", b"400"}),
    "a zero byte in a header": ([HEAD + b"x-zero: \x00\r\n" + LENGTH + GOOD], {b"400"}),
    "a name that is no text": ([HEAD + b"x-request-id: \xff\xfe\r\nconnection: close\r\n" + LENGTH + GOOD], {b"200"}),
    "a slow header": ([HEAD + b"x-slow: "], {b"408"}),
    "a slow body": ([HEAD + LENGTH + GOOD[:3]], {b"408"}),
    "no request": ([b""], {b"408"}),
}


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


ADMIN: dict[str, tuple[str, str, bytes, int]] = {
    "no order": ("PUT", "tides/record", b"{}", 400),
    "half an order": ("PUT", "tides/record", b"{", 400),
    "an order that is no text": ("PUT", "tides/record", b"\xff\xfe", 400),
    "a deep order": ("PUT", "tides/record", b"[" * DEEP, 400),
    "an order too large": ("PUT", "tides/record", b" " * (BODY_LIMIT + 1), 413),
    "a name with a line end": ("PUT", "tides%0a/files/1", b"", 400),
    "a name that leaves the folder": ("PUT", "..%2f..%2fetc/files/1", b"", 404),
    "a version below one": ("PUT", "tides/files/0", b"", 400),
    "a version beyond all": ("PUT", f"tides/files/{'9' * 5_000}", b"", 400),
    "a moment without a time zone": (
        "POST",
        "tides/rehearsal",
        b'{"champion_version":1,"mirror_version":2,"since":"2026-01-01T00:00:00","block_s":60}',
        400,
    ),
}


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
