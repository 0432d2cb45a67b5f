"""Read labels that arrive as files or in a table, and keep one for each row that was asked for."""

from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import read_moment
from understudy.contract.reports import LabelsReport
from understudy.stages.context import Refused, StageContext, StageOutput, stage
from understudy.stages.read.label_rows import SECTION, LabelRows, read_labels

if TYPE_CHECKING:
    import polars as pl

LABELS_FILE = "labels.parquet"


@stage
def run(context: StageContext) -> StageOutput:
    """Read every source of labels; the last label of a row counts, as it does at a gateway.

    ``params``: ``start``, ``end`` for a query, ``label_files`` for the files' own names. Writes ``labels``, a Parquet
    file of ``id``, ``row`` and ``label``.
    """
    spec, params = ModelSpec.model_validate(context.request.spec), context.request.params
    declared = spec.monitor.labels if spec.monitor else None
    if declared is None:
        raise Refused(f"{SECTION} is not declared, so there is nothing to read", SECTION)
    start, end = read_moment(params.get("start")), read_moment(params.get("end"))
    kept, report = _counted(read_labels(context, declared, spec, start, end))
    target = context.outputs / LABELS_FILE
    kept.write_parquet(target, compression="zstd", compression_level=3)
    return StageOutput(report, {"labels": target})


def _counted(given: LabelRows) -> "tuple[pl.DataFrame, LabelsReport]":
    """Keep the last label of each row, and count what was left out and why."""
    import polars as pl

    key, table = ["id", "row"], given.table
    is_whole = pl.col("id").is_not_null() & (pl.col("id") != "") & (pl.col("row") >= 0) & pl.col("label").is_not_null()
    if table.schema["label"].is_float():
        is_whole &= pl.col("label").is_finite()
    whole = table.filter(is_whole.fill_null(value=False))
    kept = whole.unique(key, keep="last", maintain_order=True)
    contradicted = whole.group_by(key).agg(pl.col("label").n_unique().alias("labels")).filter(pl.col("labels") > 1)
    report = LabelsReport(
        rows=table.height,
        usable=kept.height,
        unusable=table.height - whole.height,
        repeated=whole.height - kept.height,
        contradicted=contradicted.height,
        sources=given.digests,
    )
    return kept, report
