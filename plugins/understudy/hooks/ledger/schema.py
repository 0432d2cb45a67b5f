"""The ledger's table, and the triggers that make it append-only, for SQLite and PostgreSQL."""

from datetime import timezone
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    cast,
    func,
    inspect,
    text,
)

from understudy.contract.declared import canonical_json
from understudy.contract.release import LedgerEntry

WRITERS_LOCK = 0x756E6465727374  # "underst": PostgreSQL's advisory lock that lines the writers up

METADATA = MetaData()
# Times and facts are kept as the very text that was hashed: a database's own types would give back equal values in
# other words, and then no hash could be checked.
LEDGER = Table(
    "ledger",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("model", String(100), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run", Text),
    Column("facts", Text, nullable=False),
    Column("once_key", String(400), unique=True),
    Column("prev_hash", String(64), nullable=False, unique=True),
    Column("hash", String(64), nullable=False, unique=True),
    Index("ledger_by_model", "model", "kind", "seq"),
)

_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER ledger_keeps_rows BEFORE UPDATE ON ledger "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
        "CREATE TRIGGER ledger_loses_none BEFORE DELETE ON ledger "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$",
        "CREATE TRIGGER ledger_keeps_rows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()",
    ),
}
_FACTS: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def fact(backend: str, path: str) -> ColumnElement[str]:
    """Read a fact within the database, as text.

    :param path: the names of nested facts, joined by dots.
    """
    names = path.split(".")
    if backend == "postgresql":
        return func.json_extract_path_text(cast(LEDGER.c.facts, JSON), *names)
    return func.json_extract(LEDGER.c.facts, "$." + path)


def exists(connection: Connection) -> bool:
    """Tell whether the ledger was created."""
    return inspect(connection).has_table(LEDGER.name)


def create(connection: Connection) -> None:
    """Create table and triggers where they are absent; the caller holds the writers' lock."""
    if not exists(connection):
        METADATA.create_all(connection, checkfirst=False)
        for statement in _APPEND_ONLY[connection.dialect.name]:
            connection.execute(text(statement))


def line_up(connection: Connection) -> None:
    """Wait for the other writers to finish; SQLite has done so by BEGIN IMMEDIATE."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITERS_LOCK})


def to_row(entry: LedgerEntry) -> dict[str, Any]:
    """Write an entry as a row."""
    return as_row(entry.model_dump(mode="json"))


def as_row(content: dict[str, Any]) -> dict[str, Any]:
    """Write an entry's JSON as a row."""
    return {**content, "facts": canonical_json(content["facts"]).decode()}


def to_entry(row: Any) -> LedgerEntry:
    """Read a row; raise ValueError where it cannot be an entry."""
    columns = dict(row._mapping)
    facts = _FACTS.validate_json(columns["facts"])
    # What was parsed from JSON need not be proven to be JSON once more: that was a third of the time of reading.
    entry = LedgerEntry.model_validate({**columns, "facts": {}})
    return entry.model_copy(update={"at": entry.at.astimezone(timezone.utc), "facts": facts})
