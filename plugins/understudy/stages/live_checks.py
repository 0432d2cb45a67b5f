"""The declared checks, asked of live inputs: what must be true of training data must be true of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import Finding
from understudy.contract.suggest import nearest
from understudy.stages.check.checked_window import SLICE_ROWS
from understudy.stages.check.columns import CellChecks


def check_live(table: pl.LazyFrame, inputs: Sequence[str], spec: ModelSpec) -> tuple[Finding, ...]:
    """Check cells slice by slice, and that every column is there that the champion reads.

    Single bad cells are noticed; that too many rows have one is a failure of the whole window.
    """
    schema = table.collect_schema()
    present = [name for name in inputs if name in schema]
    declared = {name: check for name, check in spec.checks.columns.items() if name in present}
    cells = CellChecks(declared, frozenset(spec.data.classes.pii), pl.Schema({name: schema[name] for name in present}))
    rows = 0
    chosen = table.select(present)
    while declared:
        raw = chosen.slice(rows, SLICE_ROWS).collect()
        if raw.is_empty():
            break
        cells.add(raw, cells.typed(raw), rows)
        rows += raw.height
    return (*_missing(inputs, schema), *cells.findings(rows), *_bad_rows(cells, rows, spec))


def _missing(inputs: Sequence[str], schema: pl.Schema) -> Iterator[Finding]:
    for name in inputs:
        if name not in schema:
            yield Finding(
                check="schema",
                column=name,
                measured=0.0,
                bound="every column that the champion reads",
                failed=True,
                batch_level=True,
                sentence=f"column {name!r}, which the champion reads, is missing{nearest(name, schema.names())}",
            )


def _bad_rows(cells: CellChecks, rows: int, spec: ModelSpec) -> Iterator[Finding]:
    bad, bound = cells.bad_rows().height, spec.checks.max_bad_share
    if rows and bad:
        why = next((found.sentence for found in cells.findings(rows) if found.failed), "")
        yield Finding(
            check="bad_rows",
            measured=bad / rows,
            bound=f"at most {bound:.2%} of the rows",
            failed=bad / rows > bound,
            batch_level=True,
            failing_rows=bad,
            sentence=f"{bad:,} of {rows:,} live rows are not as declared ({why}); {bound:.2%} of them may be",
        )
