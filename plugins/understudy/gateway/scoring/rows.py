"""A request's rows, typed as training typed them (stages/model/features.py), with no frame built for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from understudy.gateway.scoring.refusals import ColumnMissing, ValueUnusable
from understudy.gateway.scoring.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from understudy.stages.model.features import Features

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

TRUE_FALSE = {"true": 1.0, "false": 0.0}
A_NUMBER = "a number"


class Rows(NamedTuple):
    """Hold typed rows: numbers in the order of ``features.numbers``, texts as one list for each of them."""

    numbers: Numbers
    texts: tuple[list[Any], ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def cut(self, start: int, end: int) -> Rows:
        """Give some of the rows."""
        return Rows(self.numbers[start:end], tuple(cells[start:end] for cells in self.texts))

    def frame(self, features: Features) -> pd.DataFrame:
        """Give the frame that ``Features.of`` would make of the same rows."""
        import pandas as pd

        frame = pd.DataFrame(self.numbers, columns=list(features.numbers))
        if not features.texts:
            return frame
        texts = dict(zip(features.texts, self.texts, strict=True))
        return pd.concat([frame, pd.DataFrame(texts, dtype=object)], axis=1)[list(features.names)]


def typed_rows(table: Table, features: Features) -> Rows:
    """Type a request's cells: infinite numbers are missing, categories are text.

    :raises ColumnMissing: where a feature was not sent.
    :raises ValueUnusable: where a cell is no number in a column of numbers, or no scalar.
    """
    numbers, texts = features.numbers, features.texts
    values = _matrix(table.rows if table.columns == numbers else _picked(table, numbers))
    if values is None:
        columns = [_numbers(name, table.column(name)) for name in numbers]
        values = np.column_stack(columns) if columns else np.empty((len(table.rows), 0))
    values[~np.isfinite(values)] = np.nan
    return Rows(values, tuple(_texts(name, table.column(name)) for name in texts))


def concatenated(parts: list[Rows]) -> Rows:
    """Put several requests' rows into one."""
    if len(parts) == 1:
        return parts[0]
    texts = tuple([cell for part in parts for cell in part.texts[place]] for place in range(len(parts[0].texts)))
    return Rows(np.concatenate([part.numbers for part in parts]), texts)


def _picked(table: Table, names: tuple[str, ...]) -> list[list[Any]]:
    for name in names:
        if name not in table.columns:
            raise ColumnMissing(name)
    places = [table.columns.index(name) for name in names]
    return [[row[place] for place in places] for row in table.rows]


def _matrix(rows: Any) -> Numbers | None:
    """Convert all cells at once; None where one of them needs a closer look."""
    try:
        values = np.array(rows, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return values if values.ndim == 2 else None


def _numbers(name: str, cells: list[Any]) -> Numbers:
    return np.array([_number(name, cell) for cell in cells], dtype=np.float64)


def _number(name: str, cell: Any) -> float:
    if cell is None:
        return np.nan
    if isinstance(cell, str):
        known = TRUE_FALSE.get(cell.strip().lower())
        if known is not None:
            return known
    try:
        return float(cell)
    except (ValueError, TypeError, OverflowError) as wrong:
        raise ValueUnusable(name, A_NUMBER) from wrong


def _texts(name: str, cells: list[Any]) -> list[Any]:
    found = []
    for cell in cells:
        if isinstance(cell, list | dict):
            raise ValueUnusable(name, "a text")
        missing = cell is None or (isinstance(cell, float) and np.isnan(cell))
        found.append(np.nan if missing else str(cell))
    return found
