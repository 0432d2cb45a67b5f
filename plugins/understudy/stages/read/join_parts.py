"""The rows of several sources as one table, whose columns hold one kind of values."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from understudy.stages.context import Refused
from understudy.stages.read.column_kind import KIND_WORDS, kind_of

if TYPE_CHECKING:
    import polars as pl

ROW = "__row"


class Part(NamedTuple):
    """Hold the rows of one source and what to call it."""

    name: str
    rows: "pl.DataFrame"


def join_parts(parts: list[Part]) -> "pl.DataFrame":
    """Put parts below each other.

    A column without a single value in one part says nothing about its type there. Numbers in one part and texts in
    another would all become texts, with which a model begins anew without a word.

    :raises Refused: naming the column and two parts that differ.
    """
    import polars as pl

    if len(parts) == 1:
        return parts[0].rows
    kinds = [_kinds(part.rows) for part in parts]
    for column in parts[0].rows.columns:
        _refuse_unlike(column, [(part.name, kind[column]) for part, kind in zip(parts, kinds, strict=True)])
    try:
        table = pl.concat([_without_empty_texts(part.rows) for part in parts], how="vertical_relaxed", rechunk=True)
    except pl.exceptions.PolarsError as unlike:
        raise Refused(
            f"the sources do not fit together ({str(unlike).splitlines()[0]}); a column must have the same "
            "type in all of them",
            "data.source",
        ) from unlike
    return table.with_columns(pl.col(pl.Null).cast(pl.String))


def without_repeats(table: "pl.DataFrame", known: int, time: str, key: Sequence[str]) -> "pl.DataFrame":
    """Leave out the rows after the first ``known`` that repeat one of these, by the key or whole, at their newest time.

    A moment may be half written when it is read first: a day's rows come all day long. So it is read again whole, and
    each row counts as often as it stands there.
    """
    import polars as pl

    newest = (table[time] == table[time].head(known).max()).arg_true()
    rows = table[newest]
    seen = pl.DataFrame({"row": newest, "hash": (rows.select(key) if key else rows).hash_rows()})
    copies = seen.with_columns(pl.int_range(pl.len()).over("hash", pl.col("row") < known).alias("copy"))
    old, new = copies.filter(pl.col("row") < known), copies.filter(pl.col("row") >= known)
    repeats = new.join(old, on="hash" if key else ["hash", "copy"], how="semi")["row"]
    return table.with_row_index(ROW).filter(~pl.col(ROW).is_in(repeats.implode())).drop(ROW)


def _kinds(rows: "pl.DataFrame") -> dict[str, str]:
    return {
        values.name: "nothing" if values.null_count() == len(values) else kind_of(values.dtype)
        for values in rows.iter_columns()
    }


def _without_empty_texts(rows: "pl.DataFrame") -> "pl.DataFrame":
    """Take the type of texts from columns without a value: the reader of CSV files gives it to them."""
    import polars as pl

    texts = [column for column, kind in rows.schema.items() if kind == pl.String]
    return rows.with_columns(pl.col([c for c in texts if rows[c].null_count() == rows.height]).cast(pl.Null))


def _refuse_unlike(column: str, found: list[tuple[str, str]]) -> None:
    text = next((name for name, kind in found if kind == "text"), None)
    other = next(((name, kind) for name, kind in found if kind not in {"text", "nothing"}), None)
    if text is not None and other is not None:
        raise Refused(
            f"the sources do not fit together: {column!r} holds texts in {text} and {KIND_WORDS[other[1]]} in "
            f"{other[0]}; repair one of them, list what stands for a missing value in data.nulls, or, where CSV files "
            f"hold codes, declare checks.columns.{column}.type: text",
            "data.source",
        )
