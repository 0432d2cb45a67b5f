"""Read requests of MLflow's scoring protocol, accepting and refusing what MLflow's own server does."""

import warnings
from io import BytesIO
from typing import Any

from understudy.gateway.scoring.read_json import read_json
from understudy.gateway.scoring.refusals import RequestUnreadable
from understudy.gateway.scoring.table import Limits, Table, from_columns, from_records

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
SPLIT_KEYS = {"columns", "data", "index"}
MAX_CSV_COLUMNS = 10_000


def read_mlflow(body: bytes, limits: Limits) -> Table:
    """Read a JSON request.

    :raises RequestRefused: where it cannot be scored.
    """
    given = read_json(body)
    found = [name for name in FORMATS if name in given]
    if len(found) != 1:
        raise RequestUnreadable(f"The request must have exactly one of the fields {', '.join(FORMATS)}.")
    data = given[found[0]]
    if found[0] == "dataframe_split":
        return _split(data, limits)
    if found[0] == "dataframe_records":
        if not isinstance(data, list):
            raise RequestUnreadable("dataframe_records must be a JSON array with one object for each row.")
        limits.allow(len(data))
        return from_records(data, limits.inputs)
    return _tensors(found[0], data, limits)


def _split(data: Any, limits: Limits) -> Table:
    if not isinstance(data, dict) or "data" not in data or not SPLIT_KEYS.issuperset(data):
        raise RequestUnreadable("dataframe_split must be an object with columns and data, and nothing else but index.")
    columns, rows, index = data.get("columns"), data["data"], data.get("index")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise RequestUnreadable("dataframe_split.columns must be a JSON array of column names.")
    if len(set(columns)) != len(columns):
        raise RequestUnreadable("dataframe_split.columns names a column twice.")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise RequestUnreadable("dataframe_split.data must be a JSON array with one array for each row.")
    limits.allow(len(rows))
    if set(map(len, rows)) != {len(columns)}:
        raise RequestUnreadable("Each row of dataframe_split.data must have one value for each of its columns.")
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        raise RequestUnreadable("dataframe_split.index must have one label for each row, or be left out.")
    return Table(tuple(columns), rows)


def _tensors(field: str, data: Any, limits: Limits) -> Table:
    """Read ``instances`` or ``inputs``: records, columns, one row of scalars, or the values of the only column."""
    if isinstance(data, list) and data and isinstance(data[0], dict):
        limits.allow(len(data))
        if field == "instances" and len({frozenset(row) & set(limits.inputs) for row in data if _is_record(row)}) > 1:
            raise RequestUnreadable("The objects in instances have different columns. Send every column in each row.")
        return from_records(data, limits.inputs)
    if isinstance(data, dict):
        if data and not any(isinstance(value, list | dict) for value in data.values()):
            return from_records([data], limits.inputs)
        table = from_columns(data, limits.inputs)
    elif isinstance(data, list) and len(limits.inputs) == 1:
        # MLflow takes a list for the values of the only column there is.
        table = from_columns({limits.inputs[0]: data}, limits.inputs)
    else:
        raise RequestUnreadable(f"{field} must hold one object for each row, or one array for each column, by name.")
    if table.columns:
        limits.allow(len(table.rows))
    return table


def _is_record(row: Any) -> bool:
    return isinstance(row, dict)


def read_csv(body: bytes, limits: Limits) -> Table:
    """Read a CSV request with a header.

    :raises RequestRefused: where it cannot be scored.
    """
    import pandas as pd

    if body.split(b"\n", 1)[0].count(b",") >= MAX_CSV_COLUMNS:
        raise RequestUnreadable(f"The CSV has more than {MAX_CSV_COLUMNS:,} columns.")
    try:
        body.decode("utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pandas only warns of is found below, or harmless
            frame = pd.read_csv(BytesIO(body), dtype=dict.fromkeys(limits.texts, str), nrows=limits.max_rows + 1)
    except (ValueError, MemoryError, OverflowError) as broken:  # pandas' own errors are ValueErrors
        raise RequestUnreadable("The request is not a CSV table in UTF-8 with a header.") from broken
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas, and so MLflow, would take the first column for labels and shift all others.
        raise RequestUnreadable("The rows of the CSV have more values than its header has names.")
    limits.allow(len(frame))
    columns = tuple(name for name in limits.inputs if name in frame.columns)
    cells = [frame[name].tolist() for name in columns]  # with NaN for what is missing
    return Table(columns, list(zip(*cells, strict=True)))
