"""Labels that come later than their rows, as files or in a table: each finds its row, or is counted."""

from datetime import datetime
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import LabelCounts
from understudy.stages.context import Refused, StageContext
from understudy.stages.read.label_rows import read_labels

if TYPE_CHECKING:
    import polars as pl

CLIENT_ID, ROW = "__client_id", "__row"
KEY, PLACE, VALUE = "__label_key", "__label_place", "__label_value"


def join_labels(
    context: StageContext, spec: ModelSpec, rows: "pl.DataFrame", start: datetime | None, end: datetime | None
) -> "tuple[pl.DataFrame, LabelCounts] | None":
    """Give rows their labels in the target's column; None where the model declares no place for labels.

    A label that the row has already stays. Labels that contradict each other, or the one that is there, are left out.

    :raises Refused: where the rows cannot be named, or no label is of the target's kind.
    """
    declared = spec.monitor.labels if spec.monitor else None
    if declared is None:
        return None
    labels = read_labels(context, declared, spec, start, end).table
    return _joined(_keyed(rows, spec), _named(labels), spec.data.target)


def new_labels(
    rows: "pl.DataFrame", time: str, target: str, since: datetime | None, until: datetime | None = None
) -> int | None:
    """Count labelled rows that are newer than a moment, and older than another; None where rows have no dates."""
    import polars as pl

    if not time or time not in rows.columns:
        return None
    labelled = rows.filter(pl.col(target).is_not_null())
    if since is not None:
        labelled = labelled.filter(pl.col(time) > since)
    return labelled.height if until is None else labelled.filter(pl.col(time) < until).height


def _named(labels: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    chosen = labels.select(pl.col("id").alias(KEY), pl.col("row").alias(PLACE), pl.col("label").alias(VALUE))
    return chosen.filter(pl.col(VALUE).is_not_null())


def _keyed(rows: "pl.DataFrame", spec: ModelSpec) -> "pl.DataFrame":
    """Name rows as labels do: by the caller's request id and the place in it, else by the declared key."""
    import polars as pl

    if CLIENT_ID in rows.columns:
        return rows.with_columns(pl.col(CLIENT_ID).cast(pl.String).alias(KEY), pl.col(ROW).cast(pl.Int64).alias(PLACE))
    if len(spec.data.key) != 1 or spec.data.key[0] not in rows.columns:
        raise Refused(
            "monitor.labels needs one column that names each row; declare it as data.key, for example key: [order_id]",
            "data.key",
        )
    return rows.with_columns(pl.col(spec.data.key[0]).cast(pl.String).alias(KEY), pl.lit(0).cast(pl.Int64).alias(PLACE))


def _joined(rows: "pl.DataFrame", labels: "pl.DataFrame", target: str) -> "tuple[pl.DataFrame, LabelCounts]":
    import polars as pl

    known = rows.schema.get(target)
    if known is not None and known != pl.Null and known != labels.schema[VALUE]:
        labels = _as_kind(labels, known, target)
    grouped = labels.group_by(KEY, PLACE).agg(pl.len().alias("count"), pl.col(VALUE).n_unique().alias("kinds"),
                                              pl.col(VALUE).first())  # fmt: skip
    clear = grouped.filter(pl.col("kinds") == 1).select(KEY, PLACE, VALUE)
    told = rows.join(clear, on=[KEY, PLACE], how="left", maintain_order="left")
    before = pl.col(target) if known is not None and known != pl.Null else pl.lit(None, dtype=labels.schema[VALUE])
    against = told.filter(pl.col(VALUE).is_not_null() & before.is_not_null() & (before != pl.col(VALUE))).height
    contradictory = grouped.filter(pl.col("kinds") > 1).height
    counts = LabelCounts(
        given=labels.height,
        matched=told.filter(pl.col(VALUE).is_not_null()).height,
        repeated=int(grouped.filter(pl.col("kinds") == 1)["count"].sum()) - clear.height,
        contradictory=contradictory + against,
        unmatched=clear.join(rows, on=[KEY, PLACE], how="anti").height,
    )
    answered = told.with_columns(pl.coalesce(before, pl.col(VALUE)).alias(target))
    return answered.drop(KEY, PLACE, VALUE), counts


def _as_kind(labels: "pl.DataFrame", kind: "pl.DataType", target: str) -> "pl.DataFrame":
    import polars as pl

    typed = labels.with_columns(pl.col(VALUE).cast(kind, strict=False)).filter(pl.col(VALUE).is_not_null())
    if labels.height and typed.is_empty():
        shown = labels[VALUE][0]
        raise Refused(
            f"the labels are of another kind than {target!r} ({kind}), for example {str(shown)!r}; correct their file",
            "monitor.labels.label",
        )
    return typed
