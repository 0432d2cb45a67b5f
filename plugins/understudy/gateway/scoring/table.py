"""What a request holds before its values are looked at: names and cells."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from understudy.gateway.scoring.refusals import ColumnMissing, RequestUnreadable, TooManyRows


class Table(NamedTuple):
    """Hold cells by row under the names of their columns; every row is as long as ``columns``."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]

    def column(self, name: str) -> list[Any]:
        """Give the cells of a column.

        :raises ColumnMissing: where there is none of that name.
        """
        if name not in self.columns:
            raise ColumnMissing(name)
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


class Limits(NamedTuple):
    """Say what a request may ask for, and of what."""

    inputs: tuple[str, ...]
    """The columns that the model needs; others are dropped early."""
    texts: frozenset[str]
    """Those of them that hold categories."""
    takes_matrix: bool
    """All columns are numbers in a known order, so that one tensor can hold them."""
    max_rows: int

    def allow(self, rows: int) -> None:
        """Let between one row and the most rows pass.

        :raises TooManyRows: for more than the model's declaration allows.
        """
        if rows > self.max_rows:
            raise TooManyRows(self.max_rows)
        if rows == 0:
            raise RequestUnreadable("The request has no rows. Send at least one.")


def from_records(records: Sequence[Any], inputs: tuple[str, ...]) -> Table:
    """Read one record for each row; what a record leaves out is missing, as MLflow has it.

    :raises RequestUnreadable: where a row is no record.
    """
    if not all(isinstance(record, dict) for record in records):
        raise RequestUnreadable("Each row must be a JSON object that maps column names to values.")
    columns = tuple(name for name in inputs if any(name in record for record in records))
    return Table(columns, [[record.get(name) for name in columns] for record in records])


def from_columns(given: dict[str, Any], inputs: tuple[str, ...]) -> Table:
    """Read one list for each column.

    :raises RequestUnreadable: where they are no lists of one length.
    """
    columns = tuple(name for name in inputs if name in given)
    cells = [given[name] for name in columns]
    if not all(isinstance(column, list) for column in cells):
        raise RequestUnreadable("Each column must be a JSON array of values.")
    if len(set(map(len, cells))) > 1:
        raise RequestUnreadable("The columns have different lengths. Send one value of each column for each row.")
    return Table(columns, list(zip(*cells, strict=True)))
