"""Read requests of every protocol into typed rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from understudy.gateway.exchange import Item, Wire
from understudy.gateway.scoring.prepared import prepared
from understudy.gateway.scoring.read_mlflow import read_csv, read_mlflow
from understudy.gateway.scoring.read_v2 import V2Request, read_v2
from understudy.gateway.scoring.refusals import AnswerUnusable, RequestRefused
from understudy.gateway.scoring.rows import Rows, typed_rows
from understudy.gateway.scoring.table import Limits, Table

if TYPE_CHECKING:
    from understudy.stages.model.scorer import Scorer


class Request(NamedTuple):
    """Hold a request that can be scored."""

    wire: Wire
    rows: Rows
    v2: V2Request | None
    read_us: int


class Unread(NamedTuple):
    """Hold a request that cannot."""

    wire: Wire
    problem: RequestRefused | AnswerUnusable
    read_us: int


@dataclass(frozen=True)
class Reader:
    """Read what callers send to one model version."""

    scorer: Scorer
    max_rows: int

    @property
    def limits(self) -> Limits:
        """Say what a request may ask for."""
        facts = self.scorer.facts
        is_plain = facts.prepare is None
        texts = facts.features.texts if is_plain else ()
        return Limits(facts.inputs, frozenset(texts), is_plain and not texts, self.max_rows)

    @property
    def datatypes(self) -> tuple[str, ...]:
        """Say as what V2 requests send each input; for a ``prepare``, whose inputs are not described, as text."""
        facts = self.scorer.facts
        texts = facts.features.texts if facts.prepare is None else facts.inputs
        return tuple("BYTES" if name in texts else "FP64" for name in facts.inputs)

    def __call__(self, items: Sequence[Item]) -> list[Request | Unread]:
        """Read each request; what is wrong with one does not affect the others."""
        read = [self._read(item) for item in items]
        if self.scorer.prepare is None:
            return [self._typed(one) for one in read]
        tables = [one.table for one in read if isinstance(one, _Read)]
        started = perf_counter_ns()
        ready = iter(prepared(self.scorer, tables))
        share = (perf_counter_ns() - started) // 1000 // max(len(tables), 1)
        return [one if isinstance(one, Unread) else one.with_rows(next(ready), share) for one in read]

    def _read(self, item: Item) -> _Read | Unread:
        started = perf_counter_ns()
        v2 = None
        try:
            if item.wire is Wire.V2_JSON:
                v2 = read_v2(item.body, self.limits)
                table = v2.table
            else:
                table = (read_csv if item.wire is Wire.MLFLOW_CSV else read_mlflow)(item.body, self.limits)
        except RequestRefused as refused:
            return Unread(item.wire, refused, (perf_counter_ns() - started) // 1000)
        except Exception:  # noqa: BLE001 - out of memory, for one
            return Unread(item.wire, AnswerUnusable(), (perf_counter_ns() - started) // 1000)
        return _Read(item.wire, table, v2, (perf_counter_ns() - started) // 1000)

    def _typed(self, one: _Read | Unread) -> Request | Unread:
        if isinstance(one, Unread):
            return one
        started = perf_counter_ns()
        rows: Rows | RequestRefused
        try:
            rows = typed_rows(one.table, self.scorer.facts.features)
        except RequestRefused as refused:
            rows = refused
        return one.with_rows(rows, (perf_counter_ns() - started) // 1000)


class _Read(NamedTuple):
    wire: Wire
    table: Table
    v2: V2Request | None
    read_us: int

    def with_rows(self, rows: Rows | RequestRefused, spent_us: int) -> Request | Unread:
        total = self.read_us + spent_us
        if isinstance(rows, RequestRefused):
            return Unread(self.wire, rows, total)
        return Request(self.wire, rows, self.v2, total)
