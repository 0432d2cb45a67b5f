"""Logged requests as a typed frame: one row for each scored row, and one for a request that has none."""

import json
from typing import TYPE_CHECKING, Any

import orjson

from understudy.gateway.log.inputs import Inputs, inputs_of
from understudy.gateway.scoring.table import Table

if TYPE_CHECKING:
    import polars as pl

EXACT = 2**53
TEXTS = (
    "request_id", "client_id", "role", "model", "artefact_sha256", "code_commit", "image_digest", "data_version",
    "wire", "error", "loss", "unit",
)  # fmt: skip
NUMBERS = ("epoch", "version", "rows", "status", "queue_us", "score_us", "total_us", "batch")
FEATURE = "x_"
# Callers may send columns that no model has; each is as long as the log.
MOST_COLUMNS = 10_000


class Requests:
    """Collect logged requests and make the frame of them.

    :param features: whether to read what was asked, which takes most of the time.
    """

    def __init__(self, *, features: bool) -> None:
        self._features = features
        self._requests: list[dict[str, Any]] = []
        self._place: list[int] = []
        self._row: list[int | None] = []
        self._predictions: list[Any] = []
        self._probabilities: list[Any] = []
        self._columns: dict[str, list[Any]] = {}
        self._raw: dict[int, bytes] = {}
        self._inexact: set[int] = set()

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, facts: dict[str, Any]) -> None:
        """Add a line of kind row."""
        output = facts["output"] if isinstance(facts["output"], dict) else {}
        predictions = _list(output.get("predictions"))
        probabilities = _list(output.get("probabilities"))
        rows = len(predictions)
        first, place = len(self._place), len(self._requests)
        given = facts.pop("input")
        self._requests.append(facts)
        if rows:
            self._place += [place] * rows
            self._row += range(rows)
            self._predictions += predictions
            self._probabilities += probabilities if len(probabilities) == rows else [None] * rows
        else:
            self._place.append(place)
            self._row.append(None)
            self._predictions.append(None)
            self._probabilities.append(None)
        if self._features and given is not None:
            # As bytes it takes a fifth of the memory.
            self._raw[place] = given.encode() if isinstance(given, str) else _json(given)
            # What was refused is no table that could be trusted to be one.
            self._add_inputs(inputs_of(facts["wire"], given) if rows else None, place, first, rows)

    def _add_inputs(self, found: Inputs | None, place: int, first: int, rows: int) -> None:
        if found is None or len(found.table.rows) != rows or not _is_even(found.table):
            self._inexact.add(place)
            return
        if not found.is_all:
            self._inexact.add(place)
        for name, cells in zip(found.table.columns, zip(*found.table.rows, strict=True), strict=True):
            if len(self._columns) >= MOST_COLUMNS and name not in self._columns:
                self._inexact.add(place)
                continue
            column = self._columns.setdefault(name, [])
            column += [None] * (first - len(column))
            column += cells

    def frame(self) -> "pl.DataFrame":
        """Make the frame: a request's own facts repeated on each of its rows."""
        import polars as pl

        requests = pl.DataFrame(
            {
                **{name: pl.Series([facts.get(name) for facts in self._requests], dtype=pl.String) for name in TEXTS},
                **{name: pl.Series([facts[name] for facts in self._requests], dtype=pl.Int64) for name in NUMBERS},
                "redacted": pl.Series([facts["redacted"] for facts in self._requests], dtype=pl.Boolean),
                "at": pl.Series([facts["ts_ns"] for facts in self._requests], dtype=pl.Int64)
                .cast(pl.Datetime("ns"))
                .dt.replace_time_zone("UTC"),
                "classes": pl.Series([_classes(facts) for facts in self._requests], dtype=pl.List(pl.String)),
            }
        )
        columns, mixed = self._typed_columns()
        if self._features:
            kept = self._raw.keys() if mixed else self._inexact
            raw = [self._raw[place].decode() if place in kept else None for place in range(len(self._requests))]
            requests = requests.with_columns(pl.Series("input", raw, dtype=pl.String))
        return requests[self._place].with_columns(
            pl.Series("row", self._row, dtype=pl.Int64),
            typed("prediction", self._predictions)[0],
            _lists("probabilities", self._probabilities),
            *columns,
        )

    def _typed_columns(self) -> "tuple[list[pl.Series], bool]":
        found = []
        any_mixed = False
        for name, cells in self._columns.items():
            column, is_mixed = typed(FEATURE + name, cells + [None] * (len(self._place) - len(cells)))
            found.append(column)
            any_mixed = any_mixed or is_mixed
        return found, any_mixed


def typed(name: str, values: list[Any]) -> "tuple[pl.Series, bool]":
    """Make a column of the narrowest type that holds all values as they are; texts of JSON where there is none."""
    import polars as pl

    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return pl.Series(name, values, dtype=pl.String), False
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean), False
    largest = max((abs(value) for value in values if type(value) is int), default=0) if int in kinds else 0
    if kinds == {int} and largest < 2**63:
        return pl.Series(name, values, dtype=pl.Int64), False
    if kinds == {float} or (kinds == {int, float} and largest <= EXACT):
        return pl.Series(name, values, dtype=pl.Float64, strict=False), False
    texts = [None if value is None else _json(value).decode() for value in values]
    return pl.Series(name, texts, dtype=pl.String), True


def _is_even(table: Table) -> bool:
    """Tell whether each cell has a name of its own: CSV may have short rows, and a name twice."""
    width = len(table.columns)
    return len(set(table.columns)) == width and all(len(row) == width for row in table.rows)


def _json(value: Any) -> bytes:
    """Write what was read, which may be deeper and larger than orjson writes; what nobody can write is ``null``."""
    try:
        return orjson.dumps(value)
    except TypeError:
        pass
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b"null"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _classes(facts: dict[str, Any]) -> list[str] | None:
    output = facts["output"]
    found = output.get("classes") if isinstance(output, dict) else None
    return [class_text(value) for value in found] if isinstance(found, list) else None


def class_text(value: Any) -> str:
    """Write a class so that 1, 1.0 and true are the same, as they are to scikit-learn."""
    if isinstance(value, (bool, int)) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)


def _lists(name: str, given: list[Any]) -> "pl.Series":
    """Make a column of lists of numbers; polars itself would build a column for each of them first."""
    import polars as pl
    import pyarrow as pa

    offsets: list[int | None] = []
    flat: list[float | None] = []
    for values in given:
        offsets.append(len(flat) if isinstance(values, list) else None)
        # A scoring process runs a model's code: what it says is not believed to be numbers.
        flat += [value if isinstance(value, (int, float)) else None for value in _list(values)]
    lists = pa.ListArray.from_arrays(
        pa.array([*offsets, len(flat)], pa.int64()).cast(pa.int32()), pa.array(flat, pa.float64())
    )
    return pl.Series(name, lists, dtype=pl.List(pl.Float64))
