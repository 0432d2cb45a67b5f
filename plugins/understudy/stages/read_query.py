"""Read rows by SQL."""

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from understudy.stages.context import Refused
from understudy.stages.csv_shape import check_columns
from understudy.stages.decimals import finite_decimals, without_decimals
from understudy.stages.errors import DatabaseUnreachable

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy import Connection

BATCH_ROWS = 50_000
PLACEHOLDER = re.compile(r"'?\{(start|end)\}'?")
# SQLAlchemy would take ' :noon' and {"a":1} in a literal for parameters, unless a backslash stands before the colon.
OTHER_COLON = re.compile(r"(?<![:\w\\]):(?=\w)(?!(?:start|end)\b)")
LONG_AGO, FAR_AHEAD = datetime(1900, 1, 1, tzinfo=timezone.utc), datetime(2200, 1, 1, tzinfo=timezone.utc)


def read_query(
    url: str, query: str, start: datetime | None, end: datetime | None, section: str = "data"
) -> "pl.DataFrame":
    """Run a query with its window bound as parameters, in batches.

    :param section: where the declaration holds ``query`` and ``connection``, for what is said of them.
    :raises Refused: when the database rejects the statement.
    :raises DatabaseUnreachable: which is worth another try.
    """
    import polars as pl
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
            batches = list(_batches(connection, query, start, end, field))
    except (ProgrammingError, DataError) as rejected:
        raise Refused(f"{field}: the database rejects it: {rejected.orig}", field) from rejected
    except OperationalError as rejected:
        if engine.dialect.name == "sqlite":  # has no other class for a wrong statement, and nothing that could be down
            raise Refused(f"{field}: the database rejects it: {rejected.orig}", field) from rejected
        problem = next(iter(str(rejected.orig).strip().splitlines()), type(rejected.orig).__name__)
        raise DatabaseUnreachable(f"{section}.connection", problem) from rejected
    finally:
        engine.dispose()
    return pl.concat(batches, how="vertical_relaxed", rechunk=True)


def bound(query: str) -> str:
    """Spell {start} and {end}, quoted or not, as bind parameters, so that no value is ever formatted into SQL."""
    return PLACEHOLDER.sub(r":\1", OTHER_COLON.sub(r"\:", query))


def _batches(
    connection: "Connection", query: str, start: datetime | None, end: datetime | None, field: str
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
        yield without_decimals(
            pl.DataFrame(finite_decimals(batch), schema=columns, orient="row", infer_schema_length=None)
        )
    if empty:
        yield pl.DataFrame(schema={column: pl.Null for column in columns})


def _as_parameter(at: datetime, dialect: str) -> Any:
    """Give SQLite, which keeps times as text, the text that most tables hold."""
    naive = at.astimezone(timezone.utc).replace(tzinfo=None)
    return naive.isoformat(sep=" ") if dialect == "sqlite" else naive
