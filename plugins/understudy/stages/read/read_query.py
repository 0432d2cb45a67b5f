"""Read rows by SQL."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from understudy.stages.context import Refused
from understudy.stages.errors import DatabaseUnreachable
from understudy.stages.read.csv_shape import check_columns
from understudy.stages.read.decimals import finite_decimals, without_decimals
from understudy.stages.read.numerals import Numerals, typed, without_nan
from understudy.stages.read.read_source import without_null_texts

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy import Connection

BATCH_ROWS = 50_000
PLAIN = {int, float, bool, str, Decimal}
"""Of these kinds, one can stand for all."""
PLACEHOLDER = re.compile(r"'?\{(start|end)\}'?")
# SQLAlchemy would take ' :noon' and {"a":1} in a literal for parameters, unless a backslash stands before the colon.
OTHER_COLON = re.compile(r"(?<![:\w\\]):(?=\w)(?!(?:start|end)\b)")
LONG_AGO, FAR_AHEAD = datetime(1900, 1, 1, tzinfo=timezone.utc), datetime(2200, 1, 1, tzinfo=timezone.utc)


def read_query(
    url: str,
    query: str,
    start: datetime | None,
    end: datetime | None,
    section: str = "data",
    *,
    nulls: tuple[str, ...] = (),
    texts: frozenset[str] = frozenset(),
) -> "pl.DataFrame":
    """Run a query with its window bound as parameters, in batches.

    A column in which texts stand among numbers is read as one of a CSV file: as texts, unless these mean missing, or
    are padded numbers.

    :param section: where the declaration holds ``query`` and ``connection``, for what is said of them.
    :param nulls: the texts that mean missing.
    :param texts: columns to keep as text even if they look like numbers.
    :raises Refused: when the database rejects the statement.
    :raises DatabaseUnreachable: which is worth another try.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, DataError, NoSuchModuleError, OperationalError, ProgrammingError

    field = f"{section}.query"
    try:
        # Some still say postgres://, which SQLAlchemy no longer knows; psycopg is the driver that the image holds.
        engine = create_engine(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError):
        # The URL holds the password, so neither it nor the library's message, which quotes it, is shown.
        raise Refused(
            f"{section}.connection: its address is no SQLAlchemy URL, or the image has no driver for it; give for "
            "example mysql+pymysql://…, and install the driver in the image",
            f"{section}.connection",
        ) from None
    try:
        with engine.connect() as connection:
            mixed = set[str]()
            batches = list(_batches(connection, query, start, end, field, mixed))
    except (ProgrammingError, DataError) as rejected:
        raise Refused(f"{field}: the database rejects it: {rejected.orig}", field) from rejected
    except OperationalError as rejected:
        if engine.dialect.name == "sqlite":  # has no other class for a wrong statement, and nothing that could be down
            raise Refused(f"{field}: the database rejects it: {rejected.orig}", field) from rejected
        problem = next(iter(str(rejected.orig).strip().splitlines()), type(rejected.orig).__name__)
        raise DatabaseUnreachable(f"{section}.connection", problem) from rejected
    finally:
        engine.dispose()
    table = without_null_texts(_joined(batches, mixed, field), nulls)
    plain = frozenset(table.columns) - mixed
    return without_nan(typed(table, Numerals(), plain | texts)) if mixed else table


def bound(query: str) -> str:
    """Spell {start} and {end}, quoted or not, as bind parameters, so that no value is ever formatted into SQL."""
    return PLACEHOLDER.sub(r":\1", OTHER_COLON.sub(r"\:", query))


def _batches(  # noqa: PLR0917 - what is asked of whom
    connection: "Connection", query: str, start: datetime | None, end: datetime | None, field: str, mixed: set[str]
) -> "Iterator[pl.DataFrame]":
    import polars as pl
    from sqlalchemy import text

    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SET TIME ZONE 'UTC'"))  # a naive time of the window would else be read as local time
    statement = text(bound(query))
    window = {"start": start or LONG_AGO, "end": end or FAR_AHEAD}
    wanted = {name: _as_parameter(at, dialect) for name, at in window.items() if name in statement._bindparams}
    rows = connection.execution_options(stream_results=True).execute(statement, wanted)
    if not rows.returns_rows:
        raise Refused(f"{field}: it returns no rows; write a SELECT", field)
    columns = list(rows.keys())
    check_columns(tuple(columns), field)
    empty = True
    while batch := rows.fetchmany(BATCH_ROWS):
        empty = False
        plain = finite_decimals(batch)
        table = _table(plain, columns, field)
        mixed |= _with_texts_among_numbers(plain, table)
        yield table
    if empty:
        yield pl.DataFrame(schema={column: pl.Null for column in columns})


def _joined(batches: "list[pl.DataFrame]", mixed: set[str], field: str) -> "pl.DataFrame":
    """Put batches below each other, and add to ``mixed`` the columns that are one kind here and another one there."""
    import polars as pl

    kinds = {column: {batch.schema[column] for batch in batches} - {pl.Null} for column in batches[0].columns}
    try:
        table = pl.concat(batches, how="vertical_relaxed", rechunk=True)
    except pl.exceptions.PolarsError as unlike:
        column = next((column for column, found in kinds.items() if len(found) > 1), "")
        raise _unlike(column, field) from unlike
    mixed |= {column for column, found in kinds.items() if len(found) > 1}
    return table


def _table(rows: Sequence[Sequence[Any]], columns: list[str], field: str) -> "pl.DataFrame":
    import polars as pl

    try:
        return without_decimals(pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None))
    except (pl.exceptions.PolarsError, TypeError) as unlike:
        kinds = ({type(row[at]) for row in rows} - {type(None)} for at in range(len(columns)))
        odd = (column for column, found in zip(columns, kinds, strict=True) if len(found - PLAIN) and len(found) > 1)
        raise _unlike(next(odd, ""), field) from unlike


def _with_texts_among_numbers(rows: Sequence[Sequence[Any]], table: "pl.DataFrame") -> set[str]:
    """Name the columns that hold both; SQLite keeps whatever it is given."""
    import polars as pl

    texts = [at for at, kind in enumerate(table.dtypes) if kind == pl.String]
    return {table.columns[at] for at in texts if any(isinstance(row[at], (int, float, Decimal)) for row in rows)}


def _unlike(column: str, field: str) -> Refused:
    named = f"its column {column!r} holds" if column else "a column holds"
    return Refused(f"{field}: {named} values that fit no one type; CAST them to one in the query", field)


def _as_parameter(at: datetime, dialect: str) -> Any:
    """Give SQLite, which keeps times as text, the text that most tables hold."""
    naive = at.astimezone(timezone.utc).replace(tzinfo=None)
    return naive.isoformat(sep=" ") if dialect == "sqlite" else naive
