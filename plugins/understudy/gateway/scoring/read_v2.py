"""Read requests of the Open Inference Protocol (V2): tensors by column name, or one tensor with all numbers."""

import math
from typing import Any, NamedTuple

from understudy.gateway.scoring.read_json import read_json
from understudy.gateway.scoring.refusals import RequestUnreadable, ValueUnusable
from understudy.gateway.scoring.table import Limits, Table

INTEGERS = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
FLOATS = {"FP16", "FP32", "FP64"}
DATATYPES = {"BOOL", "BYTES", *INTEGERS, *FLOATS}
OUTPUTS = ("predict", "probabilities")
MAX_ID = 256


class V2Request(NamedTuple):
    """Hold a request with what its answer must repeat."""

    table: Table
    id: str | None
    outputs: tuple[str, ...]
    """The outputs that the caller wants; all of them when empty."""


def read_v2(body: bytes, limits: Limits) -> V2Request:
    """Read a JSON request.

    :raises RequestRefused: where it cannot be scored.
    """
    given = read_json(body)
    request_id = given.get("id")
    if request_id is not None and (not isinstance(request_id, str) or len(request_id) > MAX_ID):
        raise RequestUnreadable(f"id must be a text of at most {MAX_ID} characters.")
    tensors = given.get("inputs")
    if not isinstance(tensors, list) or not tensors or not all(isinstance(tensor, dict) for tensor in tensors):
        raise RequestUnreadable("inputs must be a JSON array of tensors.")
    only = _matrix(tensors[0], limits) if len(tensors) == 1 else None
    return V2Request(only or _columns(tensors, limits), request_id, _outputs(given.get("outputs")))


def _outputs(asked: Any) -> tuple[str, ...]:
    if asked is None:
        return ()
    names = [output.get("name") for output in asked if isinstance(output, dict)] if isinstance(asked, list) else []
    wanted = tuple(name for name in OUTPUTS if name in names)
    if not wanted or len(wanted) < len(asked):
        raise RequestUnreadable(f"outputs may name {' and '.join(OUTPUTS)}, each once, as an object with a name.")
    return wanted


def _matrix(tensor: dict[str, Any], limits: Limits) -> Table | None:
    """Read one tensor of shape [rows, columns] that holds every column in order; None where it is not such a one."""
    shape = _shape(tensor)
    if len(shape) != 2 or not limits.takes_matrix or (shape[1] == 1 and tensor.get("name") in limits.inputs):
        return None
    limits.allow(shape[0])
    width = len(limits.inputs)
    if shape[1] != width:
        raise RequestUnreadable(
            f"The tensor's shape must be [rows, {width}]: one value for each of the model's columns."
        )
    values = _values(tensor, shape)
    return Table(limits.inputs, [values[start : start + width] for start in range(0, len(values), width)])


def _columns(tensors: list[dict[str, Any]], limits: Limits) -> Table:
    named: dict[str, list[Any]] = {}
    for tensor in tensors:
        name, shape = tensor.get("name"), _shape(tensor)
        if not isinstance(name, str) or name in named:
            raise RequestUnreadable("Each tensor must have a name of its own.")
        if len(shape) > 2 or shape[1:] not in {(), (1,)}:
            raise RequestUnreadable("A column's tensor must have the shape [rows] or [rows, 1].")
        limits.allow(shape[0])
        if name in limits.inputs:
            if name in limits.texts and tensor.get("datatype") != "BYTES":
                raise ValueUnusable(name, "text, of datatype BYTES")
            named[name] = _values(tensor, shape)
    if len(set(map(len, named.values()))) > 1:
        raise RequestUnreadable("The tensors have different numbers of rows.")
    return Table(tuple(named), list(zip(*named.values(), strict=True)))


def _shape(tensor: dict[str, Any]) -> tuple[int, ...]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size >= 0 for size in shape):
        raise RequestUnreadable("A tensor's shape must be a JSON array of whole numbers.")
    return tuple(shape)


def _values(tensor: dict[str, Any], shape: tuple[int, ...]) -> list[Any]:
    """Give a tensor's values row by row; they may be sent flat or nested."""
    datatype, data = tensor.get("datatype"), tensor.get("data")
    if not isinstance(datatype, str) or datatype not in DATATYPES or not isinstance(data, list):
        raise RequestUnreadable(f"A tensor needs data and a datatype out of {', '.join(sorted(DATATYPES))}.")
    if len(shape) == 2 and data and isinstance(data[0], list):
        if not all(isinstance(row, list) and len(row) == shape[1] for row in data):
            raise RequestUnreadable("A tensor's data does not have its shape.")
        data = [value for row in data for value in row]
    if len(data) != math.prod(shape):
        raise RequestUnreadable("A tensor's data does not have its shape.")
    if not all(value is None or _fits(value, datatype) for value in data):
        raise RequestUnreadable(f"A tensor of datatype {datatype} holds a value of another kind.")
    return data


def _fits(value: Any, datatype: str) -> bool:
    if datatype == "BYTES":
        return isinstance(value, str)
    if datatype == "BOOL":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (datatype in FLOATS and isinstance(value, float))
