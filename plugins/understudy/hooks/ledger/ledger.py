"""The ledger: every decision, who made it and why, append-only and hash-chained."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks.errors import LedgerUnavailable
from understudy.hooks.ledger import schema
from understudy.hooks.ledger.chain import ChainCheck, check
from understudy.hooks.ledger.engine import engine_of, explain, parse_url
from understudy.hooks.ledger.pen import LedgerPen

KEYS_AT_ONCE = 500  # an older SQLite takes 999 values in one statement


class Ledger:
    """Keep the decisions of all models in one table, created on first use.

    Writers take turns, across threads, processes and machines. No connection outlives a call, so that a forked task
    never shares its parent's. The chain shows any changed or removed entry but the newest ones: whoever cuts those off
    leaves an intact shorter chain, so compare the last hash with a backup's.
    """

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.name = self.url.render_as_string(hide_password=True)
        try:
            self._engine = engine_of(self.url)
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
        with self.reading() as connection:
            return check(connection.execute(select(schema.LEDGER).order_by(schema.LEDGER.c.seq)) if connection else ())

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
        return in_force.deployment if in_force else None

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
            raise explain(self.name, broken) from broken


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
