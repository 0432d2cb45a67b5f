"""The reading of a window: the rows of its sources, checked, dated, cut and put together."""

from datetime import datetime
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.moment import moment
from understudy.contract.reports import SnapshotReport
from understudy.stages.context import Refused
from understudy.stages.read.join_parts import Part, join_parts, without_repeats
from understudy.stages.read.parse_time import parse_times
from understudy.stages.read.read_source import unknown_column

if TYPE_CHECKING:
    import polars as pl

SHOWN_EXAMPLES = 3


class Reading:
    """Collect the window's rows, source by source, so that only one source is whole in memory at a time."""

    def __init__(self, spec: ModelSpec, start: datetime | None, end: datetime | None) -> None:
        self.spec, self.start, self.end = spec, start, end
        self.time = spec.data.time or ""
        self.parts: list[Part] = []
        self.undated: list[pl.DataFrame] = []
        self.digests: dict[str, str] = {}
        self.columns: list[str] = []
        self.read = self.without_time = self.outside = 0
        self.seen: list[datetime] = []
        self.counts_labels = False
        self.labelled_since: datetime | None = None
        self.labelled_until: datetime | None = None
        self.new_labels = 0

    def add(self, name: str, table: "pl.DataFrame", since: datetime | None = None) -> None:
        """Take the rows of one source that lie in the window, and of an increment those that are not older."""
        import polars as pl

        self._check_columns(name, table)
        table = table.select(self.columns)
        self.read += table.height
        if self.time:
            table = self._dated(name, table)
            self._count_labels(table)
            is_inside = inside(self.time, self.start, self.end)
            self.outside += table.height - table.filter(is_inside).height
            self.seen += [at for at in (table[self.time].min(), table[self.time].max()) if isinstance(at, datetime)]
            table = table.filter(is_inside if since is None else is_inside & (pl.col(self.time) >= since))
        self.parts.append(Part(name, table))

    def finish(self, previous: "pl.DataFrame | None") -> "pl.DataFrame":
        """Join the parts, sort them by time, and refuse what is too little to be a window."""
        parts = [*([] if previous is None else [Part("the last accepted window", previous)]), *self.parts]
        if self.read == 0 and previous is None:
            raise Refused(f"{self._named()} holds no rows; is the export complete?", "data.source")
        table = join_parts(parts)
        if previous is not None:
            table = without_repeats(table, previous.height, self.time, self.spec.data.key)
        self.parts.clear()
        if self.time and not table[self.time].is_sorted():
            table = table.sort(self.time, maintain_order=True)
        if table.is_empty():
            raise Refused(self._empty_window(), "monitor.window" if self.counts_labels else "data.window")
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
        known = pl.col(self.spec.data.target).is_not_null() & inside(self.time, None, self.labelled_until or self.end)
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
                f"data.time: {lost:,} of {table.height:,} values of {self.time!r} in {name} are not times, for "
                f'example {shown}; set data.time_format, for example "%d.%m.%Y %H:%M", with %y for years of two '
                "digits",
                "data.time",
            )
        self.without_time += lost
        if lost and not self.counts_labels:
            self.undated.append(table.filter(times.is_null()).with_columns(pl.col(self.time).cast(pl.String)))
        dated = table.with_columns(times.alias(self.time))
        return dated.filter(pl.col(self.time).is_not_null()) if lost else dated

    def _empty_window(self) -> str:
        window = f"from {_spoken(self.start)} to {_spoken(self.end)}"
        found = f"; its times run from {_spoken(min(self.seen))} to {_spoken(max(self.seen))}" if self.seen else ""
        # A look waits for young labels by itself: it collects that much more.
        wider = "monitor.window" if self.counts_labels else "data.window, shorten data.label_delay"
        return (
            f"{self._named()} holds no rows in the window {window}{found}. Widen {wider} or choose another as-of time"
        )

    def _named(self) -> str:
        return next(iter(self.digests), "the source") + (
            f" (and {len(self.digests) - 1} more)" if len(self.digests) > 1 else ""
        )


def inside(time: str, start: datetime | None, end: datetime | None) -> "pl.Expr":
    """Tell which rows lie from ``start`` on and before ``end``."""
    import polars as pl

    is_inside = pl.lit(value=True)
    if start is not None:
        is_inside &= pl.col(time) >= start
    if end is not None:
        is_inside &= pl.col(time) < end
    return is_inside


def _spoken(at: datetime | None) -> str:
    return "the beginning" if at is None else moment(at)
