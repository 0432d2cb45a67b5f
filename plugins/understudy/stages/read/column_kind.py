"""Tell what kind of values a column holds, in the words of the declaration."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["integer", "number", "text", "boolean", "time", "nothing", "other"]
NUMERIC = ("integer", "number")
KIND_WORDS = {
    "integer": "whole numbers",
    "number": "numbers",
    "text": "texts",
    "boolean": "truth values",
    "time": "times",
    "other": "values of another kind",
}


def kind_of(dtype: "pl.DataType") -> Kind:
    """Name the kind of a column's type; ``nothing`` is a column without a single value."""
    import polars as pl

    kinds: dict[type[pl.DataType], Kind] = {
        pl.String: "text",
        pl.Categorical: "text",
        pl.Enum: "text",
        pl.Boolean: "boolean",
        pl.Date: "time",
        pl.Datetime: "time",
        pl.Null: "nothing",
    }
    if dtype.is_integer():
        return "integer"
    return "number" if dtype.is_numeric() else kinds.get(dtype.base_type(), "other")


def is_text(values: "pl.Series") -> bool:
    """Tell whether a column is read as text."""
    import polars as pl

    return values.dtype == pl.String


def same_kind(one: str, other: str) -> bool:
    """Tell whether values of one kind can stand for the other; whole numbers are numbers."""
    return one == other or {one, other} <= set(NUMERIC) or "nothing" in (one, other)
