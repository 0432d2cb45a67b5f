from typing import Any

import orjson
import pytest

from tests.unit.gateway.log_story import BUNDLE
from understudy.contract.words import Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.encode import Encoder

SECRET = "ann"


def logged(wire: Wire, body: bytes, status: int = 200) -> tuple[bytes, Any]:
    answer = Answer(status, b"", 2, b'{"predictions":[0,1],"probabilities":null}', 1, 1)
    row = LogRow("r", None, 1, 1, Role.CHAMPION, BUNDLE, Item(wire, body), answer, None, 1, 1)
    line = Encoder(("name",)).line(row)
    return line, orjson.loads(line)["input"]


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (
            b'{"dataframe_split":{"columns":["name","x"],"data":[["ann",1],["ann",2]]}}',
            {"dataframe_split": {"columns": ["x"], "data": [[1], [2]]}},
        ),
        (b'{"dataframe_split":{"data":[["ann",1],["ann",2]]}}', {"dataframe_split": {"data": [None, None]}}),
        (b'{"dataframe_records":[{"name":"ann","x":1},{"x":2}]}', {"dataframe_records": [{"x": 1}, {"x": 2}]}),
        (b'{"instances":[{"n\\u0061me":"ann","x":1},{"x":2}]}', {"instances": [{"x": 1}, {"x": 2}]}),
        (b'{"instances":[["ann",1],["ann",2]]}', {"instances": [None, None]}),
        (b'{"inputs":{"name":["ann","ann"],"x":[1,2]}}', {"inputs": {"x": [1, 2]}}),
        (b'{"inputs":[["ann",1],["ann",2]]}', {"inputs": [None, None]}),
        (b'{"inputs":{"x":[1,2]},"params":{"of":"ann"}}', {"inputs": {"x": [1, 2]}}),
        (b'{"dataframe_split":{"columns":["name","x"],"data":[["ann",1],["ann"]]}}', None),
        (b'{"inputs":{"name":["ann",NaN]}}', None),
    ],
)
def test_personal_columns_never_reach_the_log(body: bytes, kept: Any) -> None:
    line, found = logged(Wire.MLFLOW_JSON, body)
    assert found == kept
    assert SECRET.encode() not in line
    assert orjson.loads(line)["redacted"] is True


def test_a_csv_keeps_its_other_columns() -> None:
    line, found = logged(Wire.MLFLOW_CSV, b'x,name,y\n1,"ann, of kin",2\n3,ann,4\n')
    assert found == "x,y\n1,2\n3,4\n"
    assert SECRET.encode() not in line


def test_tensors_keep_the_others_and_a_nameless_matrix_is_emptied() -> None:
    body = {
        "id": SECRET,
        "parameters": {"of": SECRET},
        "inputs": [
            {"name": "name", "shape": [2], "datatype": "BYTES", "data": [SECRET, SECRET]},
            {"name": "x", "shape": [2], "datatype": "FP64", "data": [1, 2], "parameters": {"of": SECRET}},
            {"name": "all", "shape": [2, 2], "datatype": "BYTES", "data": [SECRET, "1", SECRET, "2"]},
        ],
    }
    line, found = logged(Wire.V2_JSON, orjson.dumps(body))
    assert SECRET.encode() not in line
    assert [(tensor["name"], tensor["data"]) for tensor in found["inputs"]] == [("x", [1, 2]), ("all", None)]


@pytest.mark.parametrize("status", [400, 422, 429])
def test_a_refused_request_is_not_kept_at_all(status: int) -> None:
    assert logged(Wire.MLFLOW_JSON, b'{"dataframe_split": ann', status)[1] is None


@pytest.mark.parametrize("status", [200, 500, 504])
def test_a_body_that_cannot_be_read_is_not_kept_at_all(status: int) -> None:
    assert logged(Wire.MLFLOW_JSON, b'{"name": "ann"', status)[1] is None
    assert logged(Wire.MLFLOW_CSV, b"\xff\xfeann", status)[1] is None
    assert logged(Wire.V2_JSON, b'{"inputs": "ann"}', status)[1] is None
