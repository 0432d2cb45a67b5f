"""A window under check: read slice by slice, so that memory does not grow with its length."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import ColumnProfile
from understudy.stages.check.columns import CellChecks
from understudy.stages.context import Refused, StageContext
from understudy.stages.profile import SAMPLE_ROWS, profile
from understudy.stages.read.column_kind import kind_of
from understudy.stages.read.read_source import read_file, unknown_column

if TYPE_CHECKING:
    import polars as pl

SLICE_ROWS = 262_144


@dataclass
class CheckedWindow:
    """Go through a window in slices and remember what the checks need."""

    spec: ModelSpec
    path: Path
    sample_parts: "list[pl.DataFrame]" = field(default_factory=list)
    hash_parts: "list[pl.DataFrame]" = field(default_factory=list)
    not_finite: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        import polars as pl

        data, lazy = self.spec.data, pl.scan_parquet(self.path)
        self.schema = lazy.collect_schema()
        needed = [("data.target", data.target), *([("data.time", data.time)] if data.time else [])]
        # Asked for by the evaluation: refused there, they would leave a trained and registered version behind.
        needed += [("evaluate.slices", column) for column in self.spec.evaluate.slices]
        needed += [("evaluate.fairness", column) for column in self.spec.evaluate.fairness]
        for name, column in needed:
            if column not in self.schema:
                raise unknown_column(name, column, self.schema.names(), "the window")
        if kind_of(self.schema[data.target]) == "other":
            raise Refused(
                f"data.target: {data.target!r} holds {self.schema[data.target]} values; a target is a number, a text "
                "or a truth value",
                "data.target",
            )
        self.rows: int = lazy.select(pl.len()).collect().item()
        self.personal = frozenset(data.classes.pii)
        named = (data.target, data.time, *data.drop, *data.key, *data.classes.pii, *data.classes.sensitive)
        self.outside = frozenset(column for column in named if column)
        self.features = [column for column in self.schema if column not in self.outside]
        self.cells = CellChecks(self.spec.checks.columns, self.personal, self.schema)
        self.references: list[tuple[str, str]] = []

    @property
    def typed(self) -> "pl.LazyFrame":
        """The rows in their declared types; NaN and infinity count as missing, as no estimator could read them."""
        import polars as pl

        typed: pl.LazyFrame = self.cells.typed(pl.scan_parquet(self.path).with_columns(_finite(self.not_finite)))
        return typed

    @cached_property
    def bad(self) -> "pl.DataFrame":
        """The number of each bad row, and why it is bad."""
        return self.cells.bad_rows()

    @cached_property
    def sample(self) -> "pl.DataFrame":
        """Rows taken evenly, in their declared types."""
        import polars as pl

        return pl.concat(self.sample_parts) if self.sample_parts else self.typed.collect()

    @cached_property
    def hashes(self) -> "pl.DataFrame":
        """For each row, what finds duplicates and contradictions: hashes, label, time."""
        import polars as pl

        return pl.concat(self.hash_parts) if self.hash_parts else pl.DataFrame(schema={"row_hash": pl.UInt64})

    @cached_property
    def profile(self) -> dict[str, ColumnProfile]:
        """A summary of each column but the personal ones."""
        return profile(self.typed, self.sample, [column for column in self.schema if column not in self.personal])

    def read(self) -> None:
        """Go through the rows once: check cells, keep an even sample, hash rows and features."""
        import polars as pl

        step = max(1, -(-self.rows // SAMPLE_ROWS))
        floats = [column for column, kind in self.schema.items() if kind.is_float()]
        for first_row in range(0, self.rows, SLICE_ROWS):
            raw = pl.scan_parquet(self.path).slice(first_row, SLICE_ROWS).collect()
            not_finite = [column for column in floats if not raw[column].is_finite().all()]
            self.not_finite.update(not_finite)
            raw = raw.with_columns(_finite(not_finite))
            typed = self.cells.typed(raw)
            self.cells.add(raw, typed, first_row)
            self.sample_parts.append(typed.gather_every(step, offset=-first_row % step))
            hashed = typed.select(self.spec.data.key) if self.spec.data.key else typed
            facts = [hashed.hash_rows().alias("row_hash"), typed[self.spec.data.target].alias("label")]
            if self.spec.task.is_classification and self.features:
                facts.append(typed.select(self.features).hash_rows().alias("feature_hash"))
            if self.spec.data.time:
                facts.append(typed[self.spec.data.time].alias("time"))
            self.hash_parts.append(pl.DataFrame(facts))

    def check_unique(self) -> None:
        """Set aside the later copies of a value that may occur once; the first row keeps it."""
        for column, check in self.cells.present.items():
            if check.unique:
                values = self.typed.select(column).collect()[column]
                copies = (~values.is_first_distinct() & values.is_not_null()).arg_true()
                self.cells.asked.append((column, "unique", "unique"))
                self.cells.note(column, "unique", copies.cast(_row_type()), values.gather(copies))

    def check_references(self, context: StageContext) -> None:
        """Set aside rows whose value a reference file does not know."""
        import polars as pl

        for index, reference in enumerate(self.spec.checks.references):
            mounted = next(
                (path for key, path in context.inputs.items() if key.split(".")[0] == f"known-{index}"), None
            )
            if mounted is None:
                raise Refused(
                    f"checks.references: {reference.file} was not mounted; is the file there?", "checks.references"
                )
            with TemporaryDirectory(dir=context.outputs, prefix=".scratch-") as scratch:
                plain = self.spec.data.model_copy(update={"format": None, "delimiter": None})
                table = read_file(mounted, reference.file, plain, Path(scratch))
            if reference.known not in table.columns:
                raise unknown_column("checks.references", reference.known, table.columns, reference.file)
            if reference.column not in self.schema:
                raise unknown_column("checks.references", reference.column, self.schema.names(), "the window")
            values = self.typed.select(reference.column).collect()[reference.column]
            known = table[reference.known].cast(pl.String).unique()
            unknown = (values.is_not_null() & ~values.cast(pl.String).is_in(known.implode())).arg_true()
            self.cells.asked.append((reference.column, "reference", f"known in {Path(reference.file).name}"))
            self.cells.note(reference.column, "reference", unknown.cast(_row_type()), values.gather(unknown))


def _finite(columns: Iterable[str]) -> "list[pl.Expr]":
    import polars as pl

    return [pl.when(pl.col(column).is_finite()).then(pl.col(column)).alias(column) for column in sorted(columns)]


def _row_type() -> "type[pl.DataType]":
    import polars as pl

    return pl.UInt32
