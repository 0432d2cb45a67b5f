"""Read labels that come apart from their rows, from files or a table: who is meant, which row, and what was true."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from understudy.contract.declaration.data import DataSpec
from understudy.contract.declaration.monitor import LabelsSpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.stage import digest_file
from understudy.contract.words import MlTask
from understudy.stages.context import Refused, StageContext
from understudy.stages.read.column_kind import kind_of
from understudy.stages.read.read_query import read_query
from understudy.stages.read.read_source import read_file, unknown_column

if TYPE_CHECKING:
    import polars as pl

SECTION = "monitor.labels"
PREFIX = "labels-"
LABELS_URL = "labels_url"
PLAIN = frozenset({"integer", "number", "boolean", "text"})


class LabelRows(NamedTuple):
    """Hold labels in the order of their arrival: ``id``, ``row`` and ``label``, any of which may be null."""

    table: "pl.DataFrame"
    digests: dict[str, str]
    """Each file that was read, and its SHA-256."""


def read_labels(
    context: StageContext, declared: LabelsSpec, spec: ModelSpec, start: datetime | None, end: datetime | None
) -> LabelRows:
    """Read every declared source of labels; none yet is an empty table.

    :raises Refused: naming the field, for a source that cannot be read or lacks a column.
    """
    import polars as pl

    digests: dict[str, str] = {}
    with TemporaryDirectory(dir=context.outputs, prefix=".scratch-") as scratch:
        parts = [
            _named(spec.task, declared, name, table)
            for name, table in _tables(context, declared, spec, Path(scratch), digests, (start, end))
        ]
    if not parts:
        return LabelRows(pl.DataFrame(schema={"id": pl.String, "row": pl.Int64, "label": pl.Null}), digests)
    try:
        return LabelRows(pl.concat(parts, how="vertical_relaxed", rechunk=True), digests)
    except pl.exceptions.PolarsError as unlike:
        raise Refused(
            f"{SECTION}: the sources do not fit together ({str(unlike).splitlines()[0]}); a column must have the same "
            "type in all of them",
            SECTION,
        ) from unlike


def _tables(  # noqa: PLR0917 - what is read, as whom, where to, and of which time
    context: StageContext,
    declared: LabelsSpec,
    spec: ModelSpec,
    scratch: Path,
    digests: dict[str, str],
    window: tuple[datetime | None, datetime | None],
) -> "Iterator[tuple[str, pl.DataFrame]]":
    if declared.query is not None:
        yield f"{SECTION}.query", read_query(context.secrets[LABELS_URL], declared.query, *window, SECTION)
        return
    originals = context.request.params.get("label_files")
    originals = originals if isinstance(originals, dict) else {}
    # Files of labels are read as the model's own files are: same encoding, same numerals, same texts for nothing.
    data = spec.data
    shape = DataSpec(
        source="labels",
        target=declared.label,
        encoding=data.encoding,
        decimal=data.decimal,
        thousands=data.thousands,
        nulls=data.nulls,
    )
    for key in sorted(key for key in context.inputs if key.startswith(PREFIX)):
        name = str(originals.get(key, key))
        digests[name] = digest_file(context.inputs[key])
        try:
            yield name, read_file(context.inputs[key], name, shape, scratch, frozenset({declared.id}))
        except Refused as refused:
            raise Refused(f"{SECTION}: {refused.message}", f"{SECTION}.source") from refused


def _named(task: MlTask, declared: LabelsSpec, name: str, table: "pl.DataFrame") -> "pl.DataFrame":
    """Pick the columns that matter and give them our names; what is no number labels no regression."""
    import polars as pl

    wanted = {"id": declared.id, "label": declared.label, **({"row": declared.row} if declared.row else {})}
    for field, column in wanted.items():
        if column not in table.columns:
            raise unknown_column(f"{SECTION}.{field}", column, table.columns, name)
    place = pl.col(declared.row).cast(pl.Int64, strict=False) if declared.row else pl.lit(0, pl.Int64)
    label = pl.col(declared.label)
    if not task.is_classification:
        label = label.cast(pl.Float64, strict=False)
    is_plain = not task.is_classification or kind_of(table.schema[declared.label]) in PLAIN
    return table.select(
        pl.col(declared.id).cast(pl.String).alias("id"),
        place.alias("row"),
        # What JSON has no word for, such as a day, is told as text.
        (label if is_plain else label.cast(pl.String)).alias("label"),
    )
