"""What of a request the log may keep where the model declares personal columns: the rest, with as many rows."""

import csv
import io
from typing import Any

import orjson

from understudy.gateway.exchange import Wire


def without(wire: Wire, body: bytes, columns: frozenset[str]) -> Any:
    """Return the request without the columns; what has no names is emptied, what is unknown is left out.

    :raises ValueError: for a body that cannot be read.
    """
    if wire is Wire.MLFLOW_CSV:
        try:
            return _csv(body.decode(), columns)
        except csv.Error as broken:
            raise ValueError("the body is not a table") from broken
    given = orjson.loads(body)
    if not isinstance(given, dict):
        raise ValueError("the body is not an object")
    return _tensors(given, columns) if wire is Wire.V2_JSON else _mlflow(given, columns)


def _csv(text: str, columns: frozenset[str]) -> str:
    rows = csv.reader(io.StringIO(text, newline=""))
    names = next(rows, [])
    kept = [at for at, name in enumerate(names) if name not in columns]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([names[at] for at in kept])
    writer.writerows([row[at] for at in kept if at < len(row)] for row in rows)
    return written.getvalue()


def _mlflow(given: dict[str, Any], columns: frozenset[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in given.items():
        if key == "dataframe_split":
            kept[key] = _split(value, columns)
        elif key == "dataframe_records" or (key == "instances" and isinstance(value, list)):
            kept[key] = [_record(entry, columns) for entry in value]
        elif key in {"inputs", "instances"}:
            kept[key] = _record(value, columns) if isinstance(value, dict) else [None] * _length(value)
    return kept


def _split(value: dict[str, Any], columns: frozenset[str]) -> dict[str, Any]:
    names = value.get("columns")
    if names is None:
        return {"data": [None] * _length(value["data"])}
    kept = [at for at, name in enumerate(names) if name not in columns]
    return {"columns": [names[at] for at in kept], "data": [[row[at] for at in kept] for row in value["data"]]}


def _record(value: Any, columns: frozenset[str]) -> dict[str, Any] | None:
    return {name: cell for name, cell in value.items() if name not in columns} if isinstance(value, dict) else None


def _tensors(given: dict[str, Any], columns: frozenset[str]) -> dict[str, Any]:
    kept = []
    for tensor in given["inputs"]:
        shape = tensor.get("shape", ())
        # A tensor of several columns has no name for each, so that any of them may be personal.
        is_column = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
        if tensor.get("name") not in columns:
            facts = {key: tensor.get(key) for key in ("name", "shape", "datatype")}
            kept.append({**facts, "data": tensor.get("data") if is_column else None})
    return {"inputs": kept}


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
