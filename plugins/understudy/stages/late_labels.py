"""Labels that come later than their rows, as files or in a table: each finds its row, or is counted."""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from understudy.contract.data_spec import DataSpec
from understudy.contract.monitor_spec import LabelsSpec
from understudy.contract.reports import LabelCounts
from understudy.contract.spec import ModelSpec
from understudy.stages.context import Refused, StageContext
from understudy.stages.read_query import read_query
from understudy.stages.read_source import read_file, unknown_column

if TYPE_CHECKING:
    import polars as pl

PREFIX = "labels-"
LABELS_URL = "labels_url"
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
    labels = _read(context, declared, spec, start, end)
    return _joined(_keyed(rows, spec), _named(labels, declared), spec.data.target)


def new_labels(rows: "pl.DataFrame", time: str, target: str, since: datetime | None) -> int | None:
    """Count labelled rows that are newer than a moment; None where rows have no dates."""
    import polars as pl

    if not time or time not in rows.columns:
        return None
    labelled = rows.filter(pl.col(target).is_not_null())
    return labelled.height if since is None else labelled.filter(pl.col(time) > since).height


def _read(
    context: StageContext, declared: LabelsSpec, spec: ModelSpec, start: datetime | None, end: datetime | None
) -> "pl.DataFrame":
    import polars as pl

    if declared.query is not None:
        return read_query(context.secrets[LABELS_URL], declared.query, start, end)
    plain = DataSpec(source="labels", target=declared.label, nulls=spec.data.nulls)
    keys = sorted(key for key in context.inputs if key.startswith(PREFIX))
    with TemporaryDirectory(dir=context.outputs, prefix=".scratch-") as scratch:
        parts = [read_file(context.inputs[key], key, plain, Path(scratch), frozenset()) for key in keys]
    if not parts:
        return pl.DataFrame(schema={declared.id: pl.String, declared.label: pl.String})
    return pl.concat(parts, how="diagonal_relaxed")


def _named(labels: "pl.DataFrame", declared: LabelsSpec) -> "pl.DataFrame":
    import polars as pl

    named = [("id", declared.id), ("label", declared.label), *([("row", declared.row)] if declared.row else [])]
    for field, column in named:
        if column not in labels.columns:
            raise unknown_column(f"monitor.labels.{field}", column, labels.columns, "the labels")
    place = pl.col(declared.row).cast(pl.Int64, strict=False) if declared.row else pl.lit(0, dtype=pl.Int64)
    chosen = labels.select(
        pl.col(declared.id).cast(pl.String).alias(KEY), place.alias(PLACE), pl.col(declared.label).alias(VALUE)
    )
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
