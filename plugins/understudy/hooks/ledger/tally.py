"""How often the ledger says what, counted by the database and added up from one look to the next."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import func, select

from understudy.contract.words import EntryKind
from understudy.hooks.ledger import schema
from understudy.hooks.ledger.ledger import Ledger


class Told(NamedTuple):
    """Name what is counted: a model's entries of a kind that say the same of a fact."""

    model: str
    kind: EntryKind
    value: str


class Tally:
    """Count the entries of some kinds by a fact of theirs.

    :param path: the names of nested facts, joined by dots.
    """

    def __init__(self, ledger: Ledger, kinds: Iterable[EntryKind], path: str) -> None:
        self._ledger, self._kinds = ledger, [kind.value for kind in kinds]
        self._fact = schema.fact(ledger.url.get_backend_name(), path)
        self.counts: Counter[Told] = Counter()
        self._counted = 0

    def catch_up(self, until: int) -> None:
        """Count the entries up to one that were not counted yet. Raise LedgerUnavailable."""
        if until <= self._counted:
            return
        table = schema.LEDGER.c
        query = (
            select(table.model, table.kind, self._fact, func.count())
            .where(table.kind.in_(self._kinds), table.seq > self._counted, table.seq <= until)
            .group_by(table.model, table.kind, self._fact)
        )
        with self._ledger.reading() as connection:
            rows = connection.execute(query).all() if connection else ()
        for model, kind, value, count in rows:
            if value is not None:
                self.counts[Told(model, EntryKind(kind), str(value))] += count
        self._counted = until


def newest_seq(ledger: Ledger) -> int:
    """Give the number of the newest entry; 0 where there is none. Raise LedgerUnavailable."""
    with ledger.reading() as connection:
        return (connection.execute(select(func.max(schema.LEDGER.c.seq))).scalar() or 0) if connection else 0
