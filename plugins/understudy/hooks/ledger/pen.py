"""The pen: what one transaction of the ledger writes and reads."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from understudy.contract.release import GENESIS, LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks.errors import LedgerUnavailable
from understudy.hooks.ledger import schema
from understudy.hooks.ledger.chain import intact
from understudy.hooks.ledger.facts import mask, storable


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
        return [intact(row) for row in self.connection.execute(query.limit(limit))]
