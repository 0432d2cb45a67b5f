"""The model's own ``prepare``, for many requests at a time where that cannot be told from one at a time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from understudy.gateway.scoring.refusals import ColumnMissing, PrepareFailed, RequestRefused
from understudy.gateway.scoring.rows import Rows
from understudy.gateway.scoring.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from understudy.stages.model.scorer import Scorer


def prepared(scorer: Scorer, tables: Sequence[Table]) -> list[Rows | RequestRefused]:
    """Give each table's typed rows, or why it is refused.

    Tables go to ``prepare`` together only if pandas gives their columns the same types together as apart; that a row's
    result does not depend on other rows was tested in training (stages/model/prepare.py).
    """
    alike: dict[Hashable, list[int]] = {}
    for place, table in enumerate(tables):
        alike.setdefault(_kinds(table), []).append(place)
    found: dict[int, Rows | RequestRefused] = {}
    for places in alike.values():
        found.update(zip(places, _together(scorer, [tables[place] for place in places]), strict=True))
    return [found[place] for place in range(len(tables))]


def _kinds(table: Table) -> Hashable:
    return table.columns, tuple(frozenset(map(_kind, cells)) for cells in zip(*table.rows, strict=True))


def _kind(cell: object) -> str:
    return "huge" if type(cell) is int and not -(2**63) <= cell < 2**63 else type(cell).__name__


def _together(scorer: Scorer, tables: list[Table]) -> list[Rows | RequestRefused]:
    try:
        whole = _typed(scorer, Table(tables[0].columns, [row for table in tables for row in table.rows]))
    except RequestRefused as refused:
        # One of them is to blame, and only alone does it show which.
        return [refused] if len(tables) == 1 else [_together(scorer, [table])[0] for table in tables]
    ends = np.cumsum([len(table.rows) for table in tables]).tolist()
    return [whole.cut(end - len(table.rows), end) for table, end in zip(tables, ends, strict=True)]


def _typed(scorer: Scorer, table: Table) -> Rows:
    import pandas as pd

    try:
        typed = scorer.typed(pd.DataFrame(list(table.rows), columns=list(table.columns)))
    except Exception as failed:
        for name in scorer.facts.inputs:
            if name not in table.columns:
                raise ColumnMissing(name) from failed
        raise PrepareFailed from failed
    return _taken_apart(typed, scorer)


def _taken_apart(typed: pd.DataFrame, scorer: Scorer) -> Rows:
    features = scorer.facts.features
    values = (typed[list(features.numbers)] if features.texts else typed).to_numpy(dtype=np.float64)
    return Rows(values, tuple(typed[name].astype(object).tolist() for name in features.texts))
