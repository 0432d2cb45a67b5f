"""Ledger entries for tests, in one line each."""

from datetime import datetime, timedelta, timezone
from typing import Any

from understudy.contract.release import GENESIS, LedgerEntry
from understudy.contract.words import EntryKind

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def entry(
    kind: EntryKind, seq: int = 1, run: str | None = "run1", reason: str = "because", **facts: Any
) -> LedgerEntry:
    return LedgerEntry.model_validate(
        {
            "seq": seq,
            "at": BEGIN + timedelta(minutes=seq),
            "model": "price",
            "kind": kind,
            "actor": "ann",
            "reason": reason,
            "run": run,
            "facts": facts,
            "prev_hash": GENESIS,
            "hash": "",
        }
    )
