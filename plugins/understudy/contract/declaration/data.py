"""Where a model's data come from, and what must be true of them."""

import re
from typing import Literal

from pydantic import Field, model_validator

from understudy.contract.declaration.safe_path import Code, SafePath
from understudy.contract.declared import Declared, Duration, PositiveDuration, parse_duration


class ColumnClasses(Declared):
    """Say which columns are personal, sensitive or must not arrive at all."""

    pii: tuple[str, ...] = ()
    """Personal data: never a feature, redacted in every report, and dropped by the data check.

    A key of undated rows is the only exception: it stays beside them, as it tells the holdout's rows from the others.
    """
    sensitive: tuple[str, ...] = ()
    """Used for fairness slices only, never as a feature."""
    forbidden: tuple[str, ...] = ()
    """A window that holds one of these columns is refused."""


class DataSpec(Declared):
    """Say what to read and which part of it."""

    source: SafePath | None = None
    """A file, glob or URL (http, https, file) of CSV or Parquet, plain or .gz; relative paths start at the project."""
    query: str | None = Field(default=None, min_length=1)
    """Instead of source: SQL that selects the rows; {start} and {end} are bound to the window."""
    connection: str | None = None
    """The Airflow connection of the query; its secret reaches the container by standard input only."""
    target: str = Field(min_length=1)
    """The column to predict."""
    time: str | None = None
    """The column that dates each row; without it, windows and time-forward holdouts are impossible."""
    time_format: str | None = None
    """A strptime pattern, where the times do not parse by themselves."""
    window: PositiveDuration | None = None
    """How far back to read; everything when absent."""
    label_delay: Duration = Field(default_factory=lambda: parse_duration("0s"))
    """How long after a row its label is final; younger rows are left out."""
    incremental: bool = False
    """Read only rows that are not older than the last accepted window, and append those that are not in it, by key or
    whole. Older rows that arrive late are never read. Nothing is appended to a window that a rollback made suspect."""
    key: tuple[str, ...] = ()
    """Columns that identify a row."""
    drop: tuple[str, ...] = ()
    """Columns that must not become features: ids, leaks."""
    format: Literal["csv", "parquet"] | None = None
    """Inferred from the name when absent."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Inferred from the first lines when absent."""
    encoding: str = "utf-8"
    """The text encoding of CSV files."""
    decimal: Literal[".", ","] = "."
    """What separates the decimals of numbers in CSV files."""
    thousands: Literal[",", ".", " ", "'"] | None = None
    """What separates the thousands of numbers in CSV files: 1,234.50 has a comma; a space may be one that is narrow."""
    nulls: tuple[str, ...] = ("",)
    """Texts that mean "missing"."""
    classes: ColumnClasses = ColumnClasses()
    """Personal, sensitive and forbidden columns."""
    prepare: Code | None = None
    """``file.py:function`` in the model's folder: frame in, frame out; the same code in training and serving."""

    @property
    def dropped(self) -> frozenset[str]:
        """Name the personal columns that no stage after the data check gets."""
        return frozenset(self.classes.pii) - frozenset(self.key if self.time is None else ())

    @model_validator(mode="after")
    def _classes_leave_what_is_needed(self) -> "DataSpec":
        needed: dict[str, tuple[str, ...]] = {"target": (self.target,), "time": (self.time,) if self.time else ()}
        unread: dict[str, dict[str, tuple[str, ...]]] = {
            "pii": needed,
            "forbidden": {
                **needed,
                "key": self.key,
                "drop": self.drop,
                "classes.pii": self.classes.pii,
                "classes.sensitive": self.classes.sensitive,
            },
        }
        for kind, users in unread.items():
            for index, column in enumerate(getattr(self.classes, kind)):
                user = next((name for name, columns in users.items() if column in columns), None)
                if user is not None:
                    raise ValueError(
                        f"classes.{kind}[{index}]: {column!r} is also data.{user}, which must be there; remove it here"
                    )
        return self

    @model_validator(mode="after")
    def _one_way_in(self) -> "DataSpec":
        if (self.source is None) == (self.query is None):
            raise ValueError("give either source (a file, glob or URL) or query (SQL), not both and not neither")
        if self.query is not None and self.connection is None:
            raise ValueError("query needs connection, the id of an Airflow connection")
        if self.connection is not None and self.query is None:
            raise ValueError("connection is read with query only; add query or remove connection")
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}, so no number could be read")
        if self.time is None and (self.window or self.label_delay or self.incremental):
            raise ValueError("window, label_delay and incremental need time, the column that dates each row")
        if self.target == self.time:
            raise ValueError(f"target and time are both {self.target!r}; they must be different columns")
        if self.target in self.drop:
            raise ValueError(f"target {self.target!r} is also in drop; remove it there")
        return self


class ColumnCheck(Declared):
    """Say what must be true of one column."""

    type: Literal["integer", "number", "text", "boolean", "time"] | None = None
    """The kind of values."""
    required: bool = True
    """Whether the column must be there."""
    max_null_share: float | None = Field(default=None, ge=0, le=1)
    """The largest share of missing values."""
    min: float | None = None
    """The smallest allowed number."""
    max: float | None = None
    """The largest allowed number."""
    allowed: tuple[str | int | float | bool, ...] | None = None
    """The only allowed values."""
    pattern: str | None = None
    """A regular expression that the whole text must match."""
    unique: bool = False
    """Whether a value may occur once only."""

    @model_validator(mode="after")
    def _be_possible(self) -> "ColumnCheck":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} lies above max {self.max}, so no value could pass")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as broken:
                raise ValueError(f"pattern {self.pattern!r} is not a regular expression: {broken}") from broken
        if self.allowed is not None and not self.allowed:
            raise ValueError("allowed is empty, so no value could pass")
        return self


class Share(Declared):
    """Bound a share."""

    min: float = Field(default=0.0, ge=0, le=1)
    """The smallest acceptable share."""
    max: float = Field(default=1.0, ge=0, le=1)
    """The largest acceptable share."""


class Reference(Declared):
    """Say that a column's values must occur in a file's column."""

    column: str
    """The column of the window."""
    file: SafePath
    """A CSV or Parquet file that lists the known values."""
    known: str
    """The column of that file."""


class ChecksSpec(Declared):
    """Say when a window of data may be trained on."""

    columns: dict[str, ColumnCheck] = Field(default_factory=dict)
    """What must be true of each column."""
    min_rows: int = Field(default=100, ge=1)
    """A smaller window decides nothing."""
    max_rows_ratio: float = Field(default=3.0, gt=1)
    """How many times larger or smaller than the median of the last accepted windows a window may be."""
    history: int = Field(default=8, ge=1, le=100)
    """How many accepted windows the comparison looks back on."""
    max_age: PositiveDuration | None = None
    """How old the newest row may be at the run's as-of time."""
    max_label_null_share: float = Field(default=0.0, ge=0, le=1)
    """The largest share of rows without a label."""
    label_shares: dict[str, Share] = Field(default_factory=dict)
    """For classes: the acceptable share of each."""
    new_classes: Literal["refuse", "accept"] = "refuse"
    """What to do with a class that no accepted window has had."""
    max_duplicate_share: float = Field(default=0.01, ge=0, le=1)
    """The largest share of rows that repeat another one (by data.key where given, else the whole row)."""
    max_conflict_share: float = Field(default=0.05, ge=0, le=1)
    """The largest share of rows with equal features and another label (classes only)."""
    max_bad_share: float = Field(default=0.01, ge=0, lt=1)
    """Up to this share of rows with a failing cell, or without a readable time, is set aside and the rest goes on.

    Above, the window is refused.
    """
    max_skew: float = Field(default=0.35, gt=0)
    """How far a column may move from the champion's training data, as Jensen-Shannon distance of its histogram."""
    max_skewed_share: float = Field(default=0.5, gt=0, le=1)
    """The share of columns that may move that far before the window is refused."""
    references: tuple[Reference, ...] = ()
    """Values that must exist elsewhere."""
