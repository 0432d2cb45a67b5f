"""Rows of dated data whose time cannot be read: no window holds them, and they must not vanish unseen."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import Finding
from understudy.stages.redact import examples

if TYPE_CHECKING:
    import polars as pl


class Undated:
    """Count such rows as bad ones, and set them aside with the text that was no time."""

    def __init__(self, path: Path, spec: ModelSpec) -> None:
        import polars as pl

        self.path, self.time = path, str(spec.data.time)
        self.texts = pl.read_parquet(path, columns=[self.time])[self.time]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.texts)

    def finding(self, read: int) -> Finding:
        """Describe them as cells that fail; ``read`` counts them and the window's rows."""
        shown = examples(self.texts, is_personal=False)
        return Finding(
            check="time",
            column=self.time,
            measured=self.rows / read,
            bound="a time that can be read",
            failed=True,
            batch_level=False,
            failing_rows=self.rows,
            examples=shown,
            sentence=f"{self.time}: {self.rows:,} of {read:,} rows have no time that can be read, for example "
            f"{', '.join(shown)}",
        )

    def quarantined(self, schema: "pl.Schema") -> "pl.LazyFrame":
        """Give them the window's columns, with what was no time in ``_why``."""
        import polars as pl

        text = pl.col(self.time)
        found = pl.when(text.is_null()).then(pl.lit("nothing")).otherwise(text.str.slice(0, 60))
        return pl.scan_parquet(self.path).with_columns(
            pl.lit(None).cast(schema[self.time]).alias(self.time),
            pl.concat_str(pl.lit(f"{self.time}: no time ("), found, pl.lit(")")).alias("_why"),
        )
