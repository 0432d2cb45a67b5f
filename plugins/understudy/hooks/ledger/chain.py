"""The chain: whether entries, and what links them, still are what was written."""

from collections.abc import Iterable
from typing import Any

from understudy.contract.declared import Fact, sha256_of
from understudy.contract.release import GENESIS, LedgerEntry
from understudy.hooks.errors import LedgerDamaged
from understudy.hooks.ledger import schema


class ChainCheck(Fact):
    """Say whether the ledger still is what was written."""

    ok: bool
    checked: int
    first_broken_seq: int | None = None
    sentence: str


def check(rows: Iterable[Any]) -> ChainCheck:
    """Check every entry and every link, given the table's rows in their order."""
    checked, prev_hash = 0, GENESIS
    for row in rows:
        problem = _problem(row, checked + 1, prev_hash)
        if problem:
            sentence = f"Entry {row.seq} {problem}; the {checked} entries before it are intact."
            return ChainCheck(ok=False, checked=checked, first_broken_seq=row.seq, sentence=sentence)
        checked, prev_hash = checked + 1, row.hash
    return ChainCheck(ok=True, checked=checked, sentence=f"All {checked} entries are intact.")


def intact(row: Any) -> LedgerEntry:
    """Read a row; raise LedgerDamaged for one that was changed."""
    try:
        entry = schema.to_entry(row)
        content = {**entry.model_dump(mode="json", exclude={"facts"}), "facts": entry.facts}
        digest = sha256_of({name: value for name, value in content.items() if name != "hash"})
        written = schema.as_row(content)
    except (ValueError, TypeError) as unreadable:
        raise LedgerDamaged(row.seq, "cannot be read") from unreadable
    # The row as it would be written now shows edits that leave the entry equal, such as a space within the JSON.
    if digest != entry.hash or written != dict(row._mapping):
        raise LedgerDamaged(row.seq, "was changed after it was written")
    return entry


def _problem(row: Any, seq: int, prev_hash: str) -> str | None:
    if row.seq != seq:
        return f"follows entry {seq - 1}, so what lay between is gone"
    if row.prev_hash != prev_hash:
        return "does not continue the chain"
    try:
        intact(row)
    except LedgerDamaged as damaged:
        return damaged.problem
    return None
