"""Check single cells by pandera: types, ranges, allowed values, patterns, missing values."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from understudy.contract.declaration.data import ColumnCheck
from understudy.contract.reports import Finding
from understudy.contract.suggest import nearest
from understudy.stages.check.cell_rules import casts_of, fits, pandera_checks, questions, wanted_kind
from understudy.stages.read.column_kind import kind_of
from understudy.stages.redact import SHOWN_EXAMPLES, examples

if TYPE_CHECKING:
    import pandera.polars as pa
    import polars as pl


@dataclass
class CellChecks:
    """Check a window slice by slice and remember which rows failed and why.

    Memory is bounded by the slice and the failing rows, however many cells fail: pandera lists every failing cell of a
    slice, and only row numbers, counts and a few examples of them are kept.
    """

    declared: Mapping[str, ColumnCheck]
    personal: frozenset[str]
    schema: "pl.Schema"
    failing: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: dict[tuple[str, str], list[object]] = field(default_factory=dict)
    bad: "list[pl.DataFrame]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self.present = {column: check for column, check in self.declared.items() if column in self.schema}
        self.casts = casts_of(self.present, self.schema)
        self.kinds = {column: kind_of(kind) for column, kind in self.schema.items()}
        self.kinds |= {column: wanted_kind(self.present[column]) or self.kinds[column] for column in self.casts}
        self.asked = [
            (column, name, bound)
            for column, check in self.present.items()
            if column not in self.unlike
            for name, bound in questions(check)
        ]
        self.pandera = self._pandera_schema()

    @property
    def unlike(self) -> dict[str, str]:
        """Map columns whose kind cannot become the declared one to the kind that they have."""
        kinds = {column: kind_of(self.schema[column]) for column in self.present}
        return {
            column: kinds[column]
            for column, check in self.present.items()
            if (wanted := wanted_kind(check)) and column not in self.casts and not fits(kinds[column], wanted)
        }

    def typed(self, raw: "pl.DataFrame | pl.LazyFrame") -> Any:
        """Turn texts that are numbers, times or truth values into these, where declared; what is none becomes null."""
        return raw.with_columns(expression.alias(column) for column, expression in self.casts.items())

    def add(self, raw: "pl.DataFrame", typed: "pl.DataFrame", first_row: int) -> None:
        """Check one slice; ``first_row`` is the number of its first row in the window."""
        import pandera.polars as pa
        import polars as pl

        for column in self.casts:
            rows = (raw[column].is_not_null() & typed[column].is_null()).arg_true()
            self.note(column, "type", rows.cast(pl.UInt32), raw[column].gather(rows), first_row)
        if self.pandera is None:
            return
        try:
            self.pandera.validate(typed, lazy=True)
        except pa.errors.SchemaErrors as failed:
            cases = failed.failure_cases
            for (column, check), found in cases.filter(pl.col("index").is_not_null()).group_by(
                "column", "check", maintain_order=True
            ):
                name = "nulls" if check == "not_nullable" else str(check)
                rows = found["index"].cast(pl.UInt32)
                if name == "nulls" and column in self.casts:
                    rows = rows.filter(raw[str(column)].gather(rows).is_null())
                self.note(str(column), name, rows, typed[str(column)].gather(rows), first_row)
            whole = cases.filter(pl.col("index").is_null())
            if whole.height:
                raise RuntimeError(
                    f"the check of column {whole['column'][0]!r} itself broke: {whole['failure_case'][0]}"
                ) from failed

    def note(self, column: str, check: str, rows: "pl.Series", values: "pl.Series", first_row: int = 0) -> None:
        """Remember failing rows, numbered from ``first_row``."""
        import polars as pl

        if rows.is_empty():
            return
        self.failing[column, check] += len(rows)
        shown = self.shown.setdefault((column, check), [])
        shown.extend(values.unique(maintain_order=True).head(max(0, SHOWN_EXAMPLES - len(shown))))
        self.bad.append(
            pl.DataFrame({"row": rows + first_row}).with_columns(why=pl.lit(f"{column}: {check}", dtype=pl.Categorical))
        )

    def bad_rows(self) -> "pl.DataFrame":
        """Give the number of each bad row, once, and why it is bad."""
        import polars as pl

        if not self.bad:
            return pl.DataFrame(schema={"row": pl.UInt32, "_why": pl.String})
        cells = pl.concat(self.bad).with_columns(pl.col("why").cast(pl.String))
        return cells.group_by("row").agg(pl.col("why").unique().sort().str.join("; ").alias("_why")).sort("row")

    def findings(self, rows: int) -> Iterator[Finding]:
        """Give one finding for each question that was asked."""
        for column, check in self.declared.items():
            if column not in self.schema:
                yield Finding(
                    check="schema",
                    column=column,
                    measured=0.0,
                    bound="required" if check.required else "optional",
                    failed=check.required,
                    batch_level=True,
                    sentence=f"column {column!r} is "
                    f"missing{nearest(column, self.schema) if len(self.schema) < 50 else ''}",
                )
        for column, kind in self.unlike.items():
            wanted = wanted_kind(self.present[column])
            yield Finding(
                check="type",
                column=column,
                measured=0.0,
                bound=str(wanted),
                failed=True,
                batch_level=True,
                sentence=f"column {column!r} holds {kind} values where {wanted} is declared",
            )
        for column, name, bound in self.asked:
            yield self.finding(column, name, bound, rows)

    def finding(self, column: str, name: str, bound: str, rows: int) -> Finding:
        """Describe the answer to one question about the cells of a column."""
        failing = self.failing[column, name]
        shown = examples(self.shown.get((column, name), ()), column in self.personal)
        example = f", for example {', '.join(shown)}" if shown and name != "nulls" else ""
        return Finding(
            check=name,
            column=column,
            measured=failing / rows if rows else None,
            bound=bound,
            failed=failing > 0,
            batch_level=False,
            failing_rows=failing,
            examples=shown,
            sentence=f"{column}: {failing:,} of {rows:,} rows are not {bound}{example}"
            if failing
            else f"{column}: every row is {bound}",
        )

    def _pandera_schema(self) -> "pa.DataFrameSchema | None":
        import pandera.polars as pa

        columns = {}
        for column, check in self.present.items():
            if column in self.unlike:
                continue
            checks = pandera_checks(check, self.kinds[column])
            if checks or check.max_null_share == 0:
                columns[column] = pa.Column(None, checks, nullable=check.max_null_share != 0)
        return pa.DataFrameSchema(columns) if columns else None
