"""Copy a database to a file and back: SQLite by its own online copy, PostgreSQL by its own tools."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, create_engine, inspect, literal, make_url, select, table
from sqlalchemy.pool import NullPool

from understudy.backup.errors import NotEmpty, ToolFailed

TIMEOUT_S = 3600.0
SQLITE_BUSY_S = 60.0


def is_absent(url: str) -> bool:
    """Tell whether a database of SQLite was never made; a server's is always there."""
    where = make_url(url)
    return where.get_backend_name() == "sqlite" and not Path(str(where.database)).exists()


def dump(url: str, destination: Path) -> None:
    """Copy a database as it is at one moment; it may be written to meanwhile."""
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        _copy_sqlite(Path(str(where.database)), destination)
    else:
        _run(["pg_dump", "--format=custom", "--no-owner", "--no-acl", f"--file={destination}"], where)


def load(url: str, source: Path) -> None:
    """Bring a copy of MLflow's database back, whole or not at all; its server may run meanwhile.

    :raises NotEmpty: where there is something in it.
    """
    where = make_url(url)
    require_empty(url)
    if where.get_backend_name() == "sqlite":
        destination = Path(str(where.database))
        destination.parent.mkdir(parents=True, exist_ok=True)
        draft = destination.with_name(f".{destination.name}.restored")
        draft.unlink(missing_ok=True)
        _copy_sqlite(source, draft)
        os.link(draft, destination)  # unlike a rename, it replaces nothing
        draft.unlink()
    else:
        _run(
            # What an MLflow that has only just started has made gives way, in the same transaction.
            ["pg_restore", "--clean", "--if-exists", "--no-owner", "--no-acl", "--exit-on-error",
             "--single-transaction", f"--dbname={where.database}", str(source)], where,
        )  # fmt: skip


def require_empty(url: str) -> None:
    """Refuse a registry that holds anything: a file of SQLite, a model or a run in PostgreSQL.

    :raises NotEmpty: naming the database without its password.
    """
    where = make_url(url)
    if not is_absent(url) and (where.get_backend_name() == "sqlite" or _holds_models(where)):
        raise NotEmpty(
            f"The database {where.render_as_string(hide_password=True)}",
            "Restore into a new one, or move it away first.",
        )


def _holds_models(where: URL) -> bool:
    with create_engine(where, poolclass=NullPool).connect() as connection:
        there = set(inspect(connection).get_table_names()) & {"registered_models", "runs"}
        return any(connection.execute(select(literal(1)).select_from(table(name)).limit(1)).first() for name in there)


def _copy_sqlite(source: Path, destination: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=SQLITE_BUSY_S)) as reading,
            closing(sqlite3.connect(destination)) as writing,
        ):
            reading.backup(writing)
            problem = writing.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as broken:
        raise ToolFailed(f"Copying {source}", str(broken)) from broken
    if problem != "ok":
        raise ToolFailed(f"Copying {source}", f"the database is damaged ({problem})")


def _run(command: list[str], where: URL) -> None:
    given = {
        "PGHOST": where.host,
        "PGPORT": str(where.port) if where.port else None,
        "PGUSER": where.username,
        # In the environment, not among the arguments, which everybody on the machine can list.
        "PGPASSWORD": where.password,
        "PGDATABASE": where.database,
    }
    environment = {**os.environ, **{name: value for name, value in given.items() if value}}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except FileNotFoundError as absent:
        raise ToolFailed(command[0], "it is not installed (Debian: postgresql-client)") from absent
    except subprocess.TimeoutExpired as slow:
        raise ToolFailed(command[0], f"it took longer than {TIMEOUT_S:.0f} s") from slow
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ToolFailed(command[0], lines[-1] if lines else f"status {done.returncode}")
