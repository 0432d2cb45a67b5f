"""Read labels that arrive as files or in a table, and keep one for each row that was asked for."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from understudy.contract.data_spec import DataSpec
from understudy.contract.declared import read_moment
from understudy.contract.monitor_spec import LabelsSpec
from understudy.contract.reports import LabelsReport
from understudy.contract.spec import ModelSpec
from understudy.contract.stage import digest_file
from understudy.contract.words import MlTask
from understudy.stages.column_kind import kind_of
from understudy.stages.context import Refused, StageContext, StageOutput, stage
from understudy.stages.read_query import read_query
from understudy.stages.read_source import read_file, unknown_column

if TYPE_CHECKING:
    import polars as pl

SECTION = "monitor.labels"
LABELS_FILE = "labels.parquet"
CONNECTION_URL = "connection_url"
PLAIN = frozenset({"integer", "number", "boolean", "text"})


@stage
def run(context: StageContext) -> StageOutput:
    """Read every source of labels; the last label of a row counts, as it does at a gateway.

    ``params``: ``start``, ``end`` for a query, ``sources`` for the files' own names. Writes ``labels``, a Parquet file
    of ``id``, ``row`` and ``label``.
    """
    import polars as pl

    spec = ModelSpec.model_validate(context.request.spec)
    labels = spec.monitor.labels if spec.monitor else None
    if labels is None:
        raise Refused(f"{SECTION} is not declared, so there is nothing to read", SECTION)
    digests: dict[str, str] = {}
    with TemporaryDirectory(dir=context.outputs, prefix=".scratch-") as scratch:
        parts = [
            _named(spec.task, labels, name, table)
            for name, table in _tables(context, spec, labels, Path(scratch), digests)
        ]
    try:
        table = pl.concat(parts, how="vertical_relaxed", rechunk=True)
    except pl.exceptions.PolarsError as unlike:
        raise Refused(
            f"{SECTION}: the sources do not fit together ({str(unlike).splitlines()[0]}); a column must have the same "
            "type in all of them",
            SECTION,
        ) from unlike
    kept, report = _counted(table, digests)
    target = context.outputs / LABELS_FILE
    kept.write_parquet(target, compression="zstd", compression_level=3)
    return StageOutput(report, {"labels": target})


def _tables(
    context: StageContext, spec: ModelSpec, labels: LabelsSpec, scratch: Path, digests: dict[str, str]
) -> "Iterator[tuple[str, pl.DataFrame]]":
    params = context.request.params
    if labels.query is not None:
        start, end = read_moment(params.get("start")), read_moment(params.get("end"))
        yield f"{SECTION}.query", read_query(context.secrets[CONNECTION_URL], labels.query, start, end, SECTION)
        return
    originals = params.get("sources")
    originals = originals if isinstance(originals, dict) else {}
    # Files of labels are read as the model's own files are: same encoding, same texts for nothing.
    shape = DataSpec(source=labels.source, target=labels.label, encoding=spec.data.encoding, nulls=spec.data.nulls)
    for key in sorted(key for key in context.inputs if key.startswith("source-")):
        name = str(originals.get(key, key))
        digests[name] = digest_file(context.inputs[key])
        try:
            yield name, read_file(context.inputs[key], name, shape, scratch, frozenset({labels.id}))
        except Refused as refused:
            raise Refused(f"{SECTION}: {refused.message}", f"{SECTION}.source") from refused


def _named(task: MlTask, labels: LabelsSpec, name: str, table: "pl.DataFrame") -> "pl.DataFrame":
    """Pick the columns that matter and give them our names; what is no number labels no regression."""
    import polars as pl

    wanted = {"id": labels.id, "label": labels.label, **({"row": labels.row} if labels.row else {})}
    for field, column in wanted.items():
        if column not in table.columns:
            raise unknown_column(f"{SECTION}.{field}", column, table.columns, name)
    place = pl.col(labels.row).cast(pl.Int64, strict=False) if labels.row else pl.lit(0, pl.Int64)
    label = pl.col(labels.label)
    if not task.is_classification:
        label = label.cast(pl.Float64, strict=False)
    is_plain = not task.is_classification or kind_of(table.schema[labels.label]) in PLAIN
    return table.select(
        pl.col(labels.id).cast(pl.String).alias("id"),
        place.alias("row"),
        # What JSON has no word for, such as a day, is told as text.
        (label if is_plain else label.cast(pl.String)).alias("label"),
    )


def _counted(table: "pl.DataFrame", digests: dict[str, str]) -> "tuple[pl.DataFrame, LabelsReport]":
    """Keep the last label of each row, and count what was left out and why."""
    import polars as pl

    key = ["id", "row"]
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
        sources=digests,
    )
    return kept, report
