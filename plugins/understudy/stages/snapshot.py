"""Read the source for the window and keep it as one Parquet file."""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from understudy.contract.declared import read_moment
from understudy.contract.reports import SnapshotReport
from understudy.contract.spec import ModelSpec
from understudy.contract.stage import digest_file
from understudy.stages.context import Refused, StageContext, StageOutput, stage
from understudy.stages.download import download, without_secrets
from understudy.stages.late_labels import join_labels, new_labels
from understudy.stages.parse_time import parse_times
from understudy.stages.read_query import read_query
from understudy.stages.read_source import read_file, unknown_column, without_null_texts

if TYPE_CHECKING:
    import polars as pl

SNAPSHOT_FILE = "data.parquet"
PREVIOUS = "previous.parquet"
LIVE = "live.parquet"
"""Rows that gateways have logged, in the place of a source."""
LIVE_TIME = "__at"
CONNECTION_URL = "connection_url"
ROW_GROUP_ROWS = 131_072
SHOWN_EXAMPLES = 3


@stage
def run(context: StageContext) -> StageOutput:
    """Read, date, cut and sort the rows of the window; equal rows give an equal file.

    A model without ``data.time`` keeps every row in the order of its sources. Blank lines of CSV files are no rows.
    With the parameter ``labels`` set to ``optional``, the target may be absent, and those labels are counted that are
    newer than ``labelled_since`` and, as they have to be final, older than ``labelled_until``.
    """
    spec = ModelSpec.model_validate(context.request.spec)
    params = context.request.params
    reading = _Reading(spec, read_moment(params.get("start")), read_moment(params.get("end")))
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
            reading.add(name, table, newer_than=newest)
    table = reading.finish(previous)
    if reading.counts_labels:
        return _labelled(context, reading, table)
    return StageOutput(reading.report(table, previous), {"data": _written(context, table)})


def _labelled(context: StageContext, reading: "_Reading", table: "pl.DataFrame") -> StageOutput:
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


def _report_of_live(table: "pl.DataFrame", reading: "_Reading") -> SnapshotReport:
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


class _Reading:
    """Collect the window's rows, source by source, so that only one source is whole in memory at a time."""

    def __init__(self, spec: ModelSpec, start: datetime | None, end: datetime | None) -> None:
        self.spec, self.start, self.end = spec, start, end
        self.time = spec.data.time or ""
        self.parts: list[pl.DataFrame] = []
        self.digests: dict[str, str] = {}
        self.columns: list[str] = []
        self.read = self.without_time = self.outside = 0
        self.seen: list[datetime] = []
        self.counts_labels = False
        self.labelled_since: datetime | None = None
        self.labelled_until: datetime | None = None
        self.new_labels = 0

    def add(self, name: str, table: "pl.DataFrame", newer_than: datetime | None = None) -> None:
        """Take the rows of one source that lie in the window and were not read before."""
        import polars as pl

        self._check_columns(name, table)
        table = table.select(self.columns)
        self.read += table.height
        if self.time:
            table = self._dated(name, table)
            self._count_labels(table)
            inside = _inside(self.time, self.start, self.end)
            self.outside += table.height - table.select(inside.sum()).item() if table.height else 0
            self.seen += [at for at in (table[self.time].min(), table[self.time].max()) if isinstance(at, datetime)]
            table = table.filter(inside if newer_than is None else inside & (pl.col(self.time) > newer_than))
        self.parts.append(table)

    def finish(self, previous: "pl.DataFrame | None") -> "pl.DataFrame":
        """Join the parts, sort them by time, and refuse what is too little to be a window."""
        import polars as pl

        parts = [*([] if previous is None else [previous]), *self.parts]
        if self.read == 0 and previous is None:
            raise Refused(f"{self._named()} holds no rows; is the export complete?", "data.source")
        try:
            table = pl.concat(parts, how="vertical_relaxed", rechunk=True)
        except pl.exceptions.PolarsError as unlike:
            raise Refused(
                f"the sources do not fit together ({str(unlike).splitlines()[0]}); a column must have the same "
                "type in all of them",
                "data.source",
            ) from unlike
        self.parts.clear()
        if self.time and not table[self.time].is_sorted():
            table = table.sort(self.time, maintain_order=True)
        if table.is_empty():
            raise Refused(self._empty_window(), "data.window")
        if table.height == 1:
            raise Refused(
                f"{self._named()} gives 1 row; nothing can be learnt or tested with one. Widen data.window or "
                "check the source",
                "data.source",
            )
        return table

    def report(self, table: "pl.DataFrame", previous: "pl.DataFrame | None") -> SnapshotReport:
        """Describe the finished window."""
        oldest, newest = (table[self.time][0], table[self.time][-1]) if self.time else (None, None)
        return SnapshotReport(
            rows=table.height,
            new_rows=table.height - (0 if previous is None else previous.height),
            columns={column: str(kind) for column, kind in table.schema.items()},
            start=oldest,
            end=newest,
            window_start=self.start,
            window_end=self.end,
            sources=self.digests,
            rows_outside_window=self.outside,
            rows_without_time=self.without_time,
            new_labels=self.new_labels if self.counts_labels and self.time else None,
        )

    def _count_labels(self, table: "pl.DataFrame") -> None:
        import polars as pl

        if not self.counts_labels or self.spec.data.target not in table.columns:
            return
        known = pl.col(self.spec.data.target).is_not_null() & _inside(self.time, None, self.labelled_until or self.end)
        is_new = pl.lit(value=True) if self.labelled_since is None else pl.col(self.time) > self.labelled_since
        self.new_labels += table.filter(known & is_new).height

    def _check_columns(self, name: str, table: "pl.DataFrame") -> None:
        data = self.spec.data
        arrived = [column for column in data.classes.forbidden if column in table.columns]
        if arrived:
            raise Refused(
                f"data.classes.forbidden: {name} holds the column {arrived[0]!r}, which must not arrive; remove "
                "it at the source",
                "data.classes.forbidden",
            )
        needed = [
            *([] if self.counts_labels else [("data.target", data.target)]),
            *([("data.time", data.time)] if data.time else []),
            *(("data.key", column) for column in data.key),
            *(("data.drop", column) for column in data.drop),
            *(("data.classes.pii", column) for column in data.classes.pii),
            *(("data.classes.sensitive", column) for column in data.classes.sensitive),
        ]
        for field, column in needed:
            if column not in table.columns:
                raise unknown_column(field, column, table.columns, name)
        self.columns = self.columns or table.columns
        missing = [column for column in self.columns if column not in table.columns]
        more = [column for column in table.columns if column not in self.columns]
        if missing or more:
            raise Refused(
                f"{name} has {'no' if missing else 'the additional'} column {(missing or more)[0]!r}, unlike the "
                "rows read before it; all sources (and earlier windows of incremental data) need the same columns",
                "data.source",
            )

    def _dated(self, name: str, table: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        raw = table[self.time]
        times = parse_times(raw, self.spec.data.time_format)
        lost = times.null_count()
        unreadable = raw.filter(times.is_null() & raw.is_not_null())
        if table.height and (lost == table.height or lost > self.spec.checks.max_bad_share * table.height):
            if unreadable.is_empty():
                raise Refused(
                    f"data.time: {lost:,} of {table.height:,} rows of {name} have nothing in {self.time!r}; name "
                    "another column, or repair the source",
                    "data.time",
                )
            shown = ", ".join(repr(str(value)) for value in unreadable.head(SHOWN_EXAMPLES))
            raise Refused(
                f"data.time: {lost:,} of {table.height:,} values of {self.time!r} in {name} are no times, for "
                f'example {shown}; set data.time_format, for example "%d.%m.%Y %H:%M"',
                "data.time",
            )
        self.without_time += lost
        dated = table.with_columns(times.alias(self.time))
        return dated.filter(pl.col(self.time).is_not_null()) if lost else dated

    def _empty_window(self) -> str:
        window = f"from {_spoken(self.start)} to {_spoken(self.end)}"
        found = f"; its times run from {_spoken(min(self.seen))} to {_spoken(max(self.seen))}" if self.seen else ""
        return (
            f"{self._named()} holds no rows in the window {window}{found}. Widen data.window, shorten data.label_delay "
            "or choose another as-of time"
        )

    def _named(self) -> str:
        return next(iter(self.digests), "the source") + (
            f" (and {len(self.digests) - 1} more)" if len(self.digests) > 1 else ""
        )


def _sources(context: StageContext, reading: _Reading, scratch: Path) -> "Iterator[tuple[str, pl.DataFrame]]":
    data, checks = reading.spec.data, reading.spec.checks
    texts = frozenset(column for column, check in checks.columns.items() if check.type == "text")
    texts |= {data.time} if data.time and data.time_format else frozenset()
    if data.query is not None:
        reading.digests["data.query"] = sha256(data.query.encode()).hexdigest()
        rows = read_query(context.secrets[CONNECTION_URL], data.query, reading.start, reading.end)
        yield "data.query", without_null_texts(rows, data.nulls)
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


def _previous(context: StageContext, reading: _Reading) -> "pl.DataFrame | None":
    import polars as pl

    path = context.inputs.get(PREVIOUS)
    if path is None or not reading.time:
        return None
    previous = pl.read_parquet(path).filter(_inside(reading.time, reading.start, reading.end))
    reading.columns = previous.columns
    return previous if previous.height else None


def _inside(time: str, start: datetime | None, end: datetime | None) -> "pl.Expr":
    import polars as pl

    inside = pl.lit(value=True)
    if start is not None:
        inside &= pl.col(time) >= start
    if end is not None:
        inside &= pl.col(time) < end
    return inside


def _number(key: str) -> int:
    return int(key.removeprefix("source-").split(".")[0])


def _spoken(at: datetime | None) -> str:
    return "the beginning" if at is None else f"{at:%Y-%m-%d %H:%M}"
