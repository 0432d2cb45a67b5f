"""The ledger: every decision, who made it and why, append-only and hash-chained."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import URL, Connection, Engine, Select, create_engine, event, func, insert, make_url, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from understudy.contract.declared import Fact, sha256_of
from understudy.contract.release import GENESIS, Deployment, LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks import ledger_schema as schema
from understudy.hooks.errors import LedgerDamaged, LedgerUnavailable
from understudy.hooks.ledger_facts import mask, storable

BUSY_S = 30.0
KEYS_AT_ONCE = 500  # an older SQLite takes 999 values in one statement
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


class ChainCheck(Fact):
    """Say whether the ledger still is what was written."""

    ok: bool
    checked: int
    first_broken_seq: int | None = None
    sentence: str


class LedgerPen:
    """Write and read within one transaction that no other writer can interleave with."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def append(
        self,
        model: str,
        kind: EntryKind,
        actor: str,
        reason: str,
        *,
        run: str | None = None,
        facts: Mapping[str, Any] | None = None,
        once_key: str | None = None,
    ) -> LedgerEntry:
        """Add an entry; with ``once_key``, return the entry that has it where there is one."""
        if once_key is not None:
            for entry in self.entries(schema.LEDGER.c.once_key == once_key):
                return entry
        table = schema.LEDGER.c
        newest = select(table.seq, table.at, table.hash).order_by(table.seq.desc()).limit(1)
        head = self.connection.execute(newest).first()
        now = datetime.now(timezone.utc)
        draft = LedgerEntry.model_validate(
            {
                "seq": head.seq + 1 if head else 1,
                # A clock that was set back must not put the past behind the present.
                "at": max(now, datetime.fromisoformat(head.at.replace("Z", "+00:00"))) if head else now,
                "model": model,
                "kind": kind,
                "actor": mask(actor),
                "reason": mask(reason),
                "run": run,
                "facts": storable(dict(facts or {})),
                "once_key": once_key,
                "prev_hash": head.hash if head else GENESIS,
                "hash": "",
            }
        )
        entry = draft.model_copy(update={"hash": draft.expected_hash()})
        self.connection.execute(insert(schema.LEDGER), schema.to_row(entry))
        return entry

    def adopt(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows of another ledger as they are, into one without entries."""
        if self.entries(limit=1):
            way_out = "Restore into a new one: what was decided is never replaced."
            raise LedgerUnavailable("to restore into", "holds entries", way_out)
        for row in rows:
            self.connection.execute(insert(schema.LEDGER), dict(row))

    def entries(self, *conditions: Any, newest_first: bool = False, limit: int | None = None) -> list[LedgerEntry]:
        """Read the entries that meet all conditions; raise LedgerDamaged for one that was changed."""
        seq = schema.LEDGER.c.seq
        query: Select[Any] = select(schema.LEDGER).where(*conditions).order_by(seq.desc() if newest_first else seq)
        return [_intact(row) for row in self.connection.execute(query.limit(limit))]


class Ledger:
    """Keep the decisions of all models in one table, created on first use.

    Writers take turns, across threads, processes and machines. No connection outlives a call, so that a forked task
    never shares its parent's. The chain shows any changed or removed entry but the newest ones: whoever cuts those off
    leaves an intact shorter chain, so compare the last hash with a backup's.
    """

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.name = self.url.render_as_string(hide_password=True)
        try:
            self._engine = _engine(self.url)
        except (ImportError, SQLAlchemyError) as unusable:
            way_out = f"Install the Python driver of {self.url.drivername}, or correct AIRFLOW__UNDERSTUDY__LEDGER_URL."
            raise LedgerUnavailable(self.name, f"cannot be opened ({unusable})", way_out) from unusable

    def append(  # noqa: PLR0917 - who, what and why, in the order of the entry itself
        self,
        model: str,
        kind: EntryKind,
        actor: str,
        reason: str,
        run: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> LedgerEntry:
        """Record a decision; raise LedgerUnavailable where that is impossible."""
        with self.writing() as pen:
            return pen.append(model, kind, actor, reason, run=run, facts=facts)

    def append_once(  # noqa: PLR0917 - as above
        self,
        key: str,
        model: str,
        kind: EntryKind,
        actor: str,
        reason: str,
        run: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> LedgerEntry:
        """Record a decision unless ``key`` was recorded already, so that a retried task does not double it."""
        with self.writing() as pen:
            return pen.append(model, kind, actor, reason, run=run, facts=facts, once_key=key)

    def entries(
        self,
        model: str | None = None,
        kinds: Iterable[EntryKind] | None = None,
        run: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        *,
        after: int | None = None,
        before: int | None = None,
        actor: str | None = None,
    ) -> list[LedgerEntry]:
        """Read the entries of a model, of some kinds, of a run, between two others; all where nothing is named."""
        table = schema.LEDGER.c
        asked = ((table.model, model), (table.run, run), (table.actor, actor))
        conditions = [column == value for column, value in asked if value is not None]
        conditions += [table.seq > after] if after is not None else []
        conditions += [table.seq < before] if before is not None else []
        if kinds is not None:
            conditions.append(table.kind.in_([kind.value for kind in kinds]))
        with self.reading() as connection:
            if connection is None:
                return []
            return LedgerPen(connection).entries(*conditions, newest_first=newest_first, limit=limit)

    def newest(self, *kinds: EntryKind, after: int = 0) -> list[LedgerEntry]:
        """Read the newest entry of each kind of each model, in one query; only what follows entry ``after``."""
        table = schema.LEDGER.c
        is_asked = (table.kind.in_([kind.value for kind in kinds]), table.seq > after)
        of_each = select(func.max(table.seq)).where(*is_asked).group_by(table.model, table.kind)
        with self.reading() as connection:
            return LedgerPen(connection).entries(table.seq.in_(of_each)) if connection else []

    def keyed(self, keys: Sequence[str]) -> list[LedgerEntry]:
        """Read the entries that were written once under these keys."""
        table = schema.LEDGER.c
        with self.reading() as connection:
            if connection is None:
                return []
            pen = LedgerPen(connection)
            asked = (keys[start : start + KEYS_AT_ONCE] for start in range(0, len(keys), KEYS_AT_ONCE))
            return [entry for some in asked for entry in pen.entries(table.once_key.in_(some))]

    def verify(self) -> ChainCheck:
        """Check every entry and every link of the chain."""
        checked, prev_hash = 0, GENESIS
        with self.reading() as connection:
            rows = connection.execute(select(schema.LEDGER).order_by(schema.LEDGER.c.seq)) if connection else ()
            for row in rows:
                problem = _problem(row, checked + 1, prev_hash)
                if problem:
                    sentence = f"Entry {row.seq} {problem}; the {checked} entries before it are intact."
                    return ChainCheck(ok=False, checked=checked, first_broken_seq=row.seq, sentence=sentence)
                checked, prev_hash = checked + 1, row.hash
        return ChainCheck(ok=True, checked=checked, sentence=f"All {checked} entries are intact.")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Read the table as it is at one moment, changed entries included: whoever copies it has to verify the copy."""
        with self.reading() as connection:
            if connection is not None:
                for row in connection.execute(select(schema.LEDGER).order_by(schema.LEDGER.c.seq)):
                    yield dict(row._mapping)

    def adopt(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over another ledger's rows, all or none; only into one that has no entry.

        :raises LedgerUnavailable: where there are entries, or a row does not fit.
        """
        with self.writing() as pen:
            pen.adopt(rows)

    def champion_at(self, model: str, moment: datetime) -> Deployment | None:
        """Return the deployment record that was in force at a moment (with a time zone)."""
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no time zone; add one, for example +00:00")
        records = self.entries(model, [EntryKind.DEPLOYED], newest_first=True)
        in_force = next((entry for entry in records if entry.at <= moment), None)
        return Deployment.model_validate(in_force.facts["deployment"]) if in_force else None

    def why(self, model: str, version: int) -> list[LedgerEntry]:
        """Return, in order, all that led to a version and all that befell it."""
        told = self.entries(model)
        about = {entry.seq for entry in told if _mentions(entry.facts, version)}
        runs = {run for entry in told if entry.seq in about for run in _runs_of(entry.facts, version)}
        runs |= {entry.run for entry in told if entry.kind is EntryKind.TRAINED and entry.seq in about and entry.run}
        return [entry for entry in told if entry.seq in about or entry.run in runs]

    @contextmanager
    def writing(self) -> Iterator[LedgerPen]:
        """Open the one transaction that may write now; all of it holds, or nothing."""
        with self._explained():
            if self.url.get_backend_name() == "sqlite" and self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            with self._engine.connect().execution_options(understudy_writes=True) as connection, connection.begin():
                schema.line_up(connection)
                schema.create(connection)
                yield LedgerPen(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Open a transaction that reads; None where the ledger was never written."""
        with self._explained():
            if self.url.get_backend_name() == "sqlite" and not Path(self.url.database or "").exists():
                yield None
                return
            with self._engine.connect() as connection, connection.begin():
                yield connection if schema.exists(connection) else None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as broken:
            raise _explain(self.name, broken) from broken


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except SQLAlchemyError as wrong:
        # The text is not repeated: a password may stand in it where nobody can tell.
        way_out = "Correct AIRFLOW__UNDERSTUDY__LEDGER_URL, for example postgresql+psycopg://user@host/understudy."
        raise LedgerUnavailable("URL", "is not a database URL", way_out) from wrong


def _engine(url: URL) -> Engine:
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


def _explain(name: str, broken: Exception) -> LedgerUnavailable:
    told = str(broken.orig if isinstance(broken, DBAPIError) else broken).strip()
    for sign, cause, way_out in _WAYS_OUT:
        if sign in told.lower():
            return LedgerUnavailable(name, cause, way_out)
    first_line = mask(told.splitlines()[0]) if told else type(broken).__name__
    return LedgerUnavailable(name, f"does not answer ({first_line})", "Check its URL and that its server runs.")


def _problem(row: Any, seq: int, prev_hash: str) -> str | None:
    if row.seq != seq:
        return f"follows entry {seq - 1}, so what lay between is gone"
    if row.prev_hash != prev_hash:
        return "does not continue the chain"
    try:
        _intact(row)
    except LedgerDamaged as damaged:
        return damaged.problem
    return None


def _intact(row: Any) -> LedgerEntry:
    try:
        entry = schema.to_entry(row)
        content = {**entry.model_dump(mode="json", exclude={"facts"}), "facts": entry.facts}
        digest = sha256_of({name: value for name, value in content.items() if name != "hash"})
        written = schema.as_row(content)
    except (ValidationError, ValueError, TypeError) as unreadable:
        raise LedgerDamaged(row.seq, "cannot be read") from unreadable
    # The row as it would be written now shows edits that leave the entry equal, such as a space within the JSON.
    if digest != entry.hash or written != dict(row._mapping):
        raise LedgerDamaged(row.seq, "was changed after it was written")
    return entry


def _mentions(value: Any, version: int) -> bool:
    if isinstance(value, dict):
        named = any(
            key in {"version", "challenger_version", "champion_version"} and item == version
            for key, item in value.items()
        )
        return named or any(_mentions(item, version) for item in value.values())
    return isinstance(value, list) and any(_mentions(item, version) for item in value)


def _runs_of(value: Any, version: int) -> set[str]:
    if isinstance(value, dict):
        own = {value["run"]} if value.get("version") == version and isinstance(value.get("run"), str) else set()
        return own.union(*(_runs_of(item, version) for item in value.values()))
    return set().union(*(_runs_of(item, version) for item in value)) if isinstance(value, list) else set()
