"""Read the source for the window and keep it as one Parquet file."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import read_moment
from understudy.contract.reports import SnapshotReport
from understudy.contract.stage import digest_file
from understudy.stages.context import StageContext, StageOutput, stage
from understudy.stages.read.download import download, without_secrets
from understudy.stages.read.late_labels import join_labels, new_labels
from understudy.stages.read.read_query import read_query
from understudy.stages.read.read_source import read_file
from understudy.stages.read.reading import Reading, inside

if TYPE_CHECKING:
    import polars as pl

SNAPSHOT_FILE, UNDATED_FILE = "data.parquet", "undated.parquet"
PREVIOUS = "previous.parquet"
LIVE = "live.parquet"
"""Rows that gateways have logged, in the place of a source."""
LIVE_TIME = "__at"
CONNECTION_URL = "connection_url"
ROW_GROUP_ROWS = 131_072


@stage
def run(context: StageContext) -> StageOutput:
    """Read, date, cut and sort the rows of the window; equal rows give an equal file.

    The few rows whose time cannot be read lie in no window; they are handed on in a file of their own, for the data
    check to count and set aside. A model without ``data.time`` keeps every row in the order of its sources. Blank lines
    of CSV files are no rows.

    With the parameter ``labels`` set to ``optional``, the target may be absent, and those labels are counted that are
    newer than ``labelled_since`` and, as they have to be final, older than ``labelled_until``.
    """
    import polars as pl

    spec = ModelSpec.model_validate(context.request.spec)
    params = context.request.params
    reading = Reading(spec, read_moment(params.get("start")), read_moment(params.get("end")))
    if params.get("labels") == "optional":
        reading.counts_labels = True
        reading.labelled_since, reading.labelled_until = (
            read_moment(params.get(name)) for name in ("labelled_since", "labelled_until")
        )
    if LIVE in context.inputs:
        return _labelled(context, reading, _live(context))
    previous = _previous(context, reading)
    newest = None if previous is None else previous[reading.time][-1]
    with TemporaryDirectory(dir=context.outputs, prefix=".scratch-") as scratch:
        for name, table in _sources(context, reading, Path(scratch)):
            reading.add(name, table, since=newest)
    table = reading.finish(previous)
    if reading.counts_labels:
        return _labelled(context, reading, table)
    outputs = {"data": _written(context, table)}
    if reading.undated:
        outputs["undated"] = context.outputs / UNDATED_FILE
        pl.concat(reading.undated, how="vertical_relaxed").write_parquet(outputs["undated"], compression="zstd")
    return StageOutput(reading.report(table, previous), outputs)


def _labelled(context: StageContext, reading: Reading, table: "pl.DataFrame") -> StageOutput:
    """Write the rows of a look with the labels that came apart from them."""
    joined = join_labels(context, reading.spec, table, reading.start, reading.end)
    if joined is None:
        return StageOutput(reading.report(table, None), {"data": _written(context, table)})
    table, counts = joined
    time = LIVE_TIME if LIVE in context.inputs else reading.time
    report = reading.report(table, None) if LIVE not in context.inputs else _report_of_live(table, reading)
    span = (reading.labelled_since, reading.labelled_until)
    new = new_labels(table, time, reading.spec.data.target, *span)
    return StageOutput(
        report.model_copy(update={"labels": counts, "new_labels": new}), {"data": _written(context, table)}
    )


def _live(context: StageContext) -> "pl.DataFrame":
    import polars as pl

    return pl.read_parquet(context.inputs[LIVE])


def _report_of_live(table: "pl.DataFrame", reading: Reading) -> SnapshotReport:
    """Describe rows that gateways have logged: nothing was read from a source."""
    return SnapshotReport(
        rows=table.height,
        new_rows=table.height,
        columns={column: str(kind) for column, kind in table.schema.items()},
        start=None,
        end=None,
        window_start=reading.start,
        window_end=reading.end,
        sources={},
        rows_outside_window=0,
        rows_without_time=0,
    )


def _written(context: StageContext, table: "pl.DataFrame") -> Path:
    target = context.outputs / SNAPSHOT_FILE
    table.write_parquet(target, compression="zstd", compression_level=3, row_group_size=ROW_GROUP_ROWS, statistics=True)
    return target


def _sources(context: StageContext, reading: Reading, scratch: Path) -> "Iterator[tuple[str, pl.DataFrame]]":
    data, checks = reading.spec.data, reading.spec.checks
    texts = frozenset(column for column, check in checks.columns.items() if check.type == "text")
    texts |= {data.time} if data.time and data.time_format else frozenset()
    if data.query is not None:
        reading.digests["data.query"] = sha256(data.query.encode()).hexdigest()
        database, window = context.secrets[CONNECTION_URL], (reading.start, reading.end)
        yield "data.query", read_query(database, data.query, *window, nulls=data.nulls, texts=texts)
        return
    originals = context.request.params.get("sources")
    originals = originals if isinstance(originals, dict) else {}
    for key in sorted((key for key in context.inputs if key.startswith("source-")), key=_number):
        name = str(originals.get(key, key))
        reading.digests[name] = digest_file(context.inputs[key])
        yield name, read_file(context.inputs[key], name, data, scratch, texts)
    urls = context.request.params.get("urls")
    for number, url in enumerate(urls if isinstance(urls, list) else []):
        name, file = without_secrets(str(url)), scratch / f"download-{number}"
        download(str(url), file)
        reading.digests[name] = digest_file(file)
        yield name, read_file(file, name, data, scratch, texts)


def _previous(context: StageContext, reading: Reading) -> "pl.DataFrame | None":
    import polars as pl

    path = context.inputs.get(PREVIOUS)
    if path is None or not reading.time:
        return None
    previous = pl.read_parquet(path).filter(inside(reading.time, reading.start, reading.end))
    reading.columns = previous.columns
    return previous if previous.height else None


def _number(key: str) -> int:
    return int(key.removeprefix("source-").split(".")[0])
