"""Requests made by hand: bodies, tensors, raw bytes and orders, with what may answer them, and some for the log."""

import json

from tests.integration.real_gateway import MODEL, ROW

BODY_LIMIT = 1 << 20
PATHS = {False: f"/models/{MODEL}/invocations", True: f"/v2/models/{MODEL}/infer"}


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
