"""The ledger's database: how it is opened, and what it means when it does not answer."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from understudy.hooks.errors import LedgerUnavailable
from understudy.hooks.ledger.facts import mask

BUSY_S = 30.0
_WAYS_OUT = (
    ("disk is full", "cannot be written: the disk is full", "Free some space, then try again."),
    ("no space left", "cannot be written: the disk is full", "Free some space, then try again."),
    ("readonly", "cannot be written: it is read-only", "Give the process write access to the file and its folder."),
    ("read-only", "cannot be written: it is read-only", "Give the database user write access."),
    ("locked", f"was busy for {BUSY_S:.0f} s", "Look for a process that holds it open, then try again."),
    ("unable to open", "cannot be opened", "Check that its folder exists and may be written to."),
    ("not a database", "is not a database", "Restore it from its last backup."),
    ("malformed", "is damaged", "Restore it from its last backup."),
    ("append-only", "is append-only", "Write a new entry instead."),
)


def parse_url(url: str) -> URL:
    """Read the ledger's URL; raise LedgerUnavailable where it is none."""
    try:
        return make_url(url)
    except SQLAlchemyError as wrong:
        # The text is not repeated: a password may stand in it where nobody can tell.
        way_out = "Correct AIRFLOW__UNDERSTUDY__LEDGER_URL, for example postgresql+psycopg://user@host/understudy."
        raise LedgerUnavailable("URL", "is not a database URL", way_out) from wrong


def engine_of(url: URL) -> Engine:
    """Make an engine that keeps no connection, and whose writers take turns from the start of their transactions."""
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_S} if is_sqlite else {})
    if is_sqlite:
        # SQLite's driver begins a transaction only at the first write, which is too late: two readers that both want to
        # write then block each other. EXTRA also syncs the folder, so that no power cut brings an entry's journal back.
        @event.listens_for(engine, "connect")
        def _begin_ourselves(dbapi_connection: Any, _record: Any) -> None:
            dbapi_connection.isolation_level = None
            dbapi_connection.execute("PRAGMA synchronous = EXTRA")
            dbapi_connection.execute("PRAGMA fullfsync = ON")  # for macOS, where a sync stops at the drive's memory

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            writes = connection.get_execution_options().get("understudy_writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def explain(name: str, broken: Exception) -> LedgerUnavailable:
    """Say why the database did not do as it was asked, and what to do about it."""
    told = str(broken.orig if isinstance(broken, DBAPIError) else broken).strip()
    for sign, cause, way_out in _WAYS_OUT:
        if sign in told.lower():
            return LedgerUnavailable(name, cause, way_out)
    first_line = mask(told.splitlines()[0]) if told else type(broken).__name__
    return LedgerUnavailable(name, f"does not answer ({first_line})", "Check its URL and that its server runs.")
