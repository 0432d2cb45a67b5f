"""The values of a logged request by column, read with the same readers that scoring uses."""

import csv
import io
from typing import Any, NamedTuple

from understudy.contract.errors import UnderstudyError
from understudy.gateway.scoring.read_json import read_json
from understudy.gateway.scoring.table import Table, from_columns, from_records

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Inputs(NamedTuple):
    """Hold a request's table."""

    table: Table
    is_all: bool
    """The table says all that the request said, so that it can be asked again from the table."""


def inputs_of(wire: str, logged: Any) -> Inputs | None:
    """Read what the log kept of a request; None where it is no table, or not all of one."""
    try:
        if wire == "mlflow_csv":
            return _csv(logged) if isinstance(logged, str) else None
        given = read_json(logged.encode()) if isinstance(logged, str) else logged
        if not isinstance(given, dict):
            return None
        return _tensors(given["inputs"]) if wire == "v2_json" else _mlflow(given)
    except (UnderstudyError, LookupError, TypeError, ValueError, AttributeError, csv.Error):
        return None


def _mlflow(given: dict[str, Any]) -> Inputs | None:
    field = next((name for name in FORMATS if name in given), None)
    if field is None:
        return None
    data, is_all = given[field], len(given) == 1
    if field == "dataframe_split":
        table = Table(tuple(data["columns"]), data["data"])
        is_even = set(map(len, table.rows)) == {len(table.columns)}
        return Inputs(table, is_all and "index" not in data) if is_even else None
    if isinstance(data, dict):
        if not any(isinstance(value, list) for value in data.values()):
            data = {name: [value] for name, value in data.items()}
        return Inputs(from_columns(data, tuple(data)), is_all)
    if isinstance(data[0], dict):
        return Inputs(from_records(data, tuple({name: None for record in data for name in record})), is_all)
    return Inputs(Table(("0",), [[value] for value in data]), is_all=False)


def _tensors(tensors: list[dict[str, Any]]) -> Inputs | None:
    columns: dict[str, list[Any]] = {}
    is_all = True
    for tensor in tensors:
        shape, data = tensor["shape"], tensor["data"]
        if isinstance(data[0], list):
            data = [value for row in data for value in row]
        width = shape[1] if len(shape) == 2 else 1
        if width == 1:
            columns[tensor["name"]] = data
        else:
            is_all = False
            columns |= {str(at): data[at::width] for at in range(width)}
    return Inputs(from_columns(columns, tuple(columns)), is_all)


def _csv(text: str) -> Inputs:
    # The line ends are left open, so that all that scoring takes are taken here.
    names, *rows = csv.reader(io.StringIO(text, newline=""))
    cells = [[_cell(value) for value in row] for row in rows if row]
    return Inputs(Table(tuple(names), cells), is_all=False)


def _cell(value: str) -> float | str | None:
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        return value
