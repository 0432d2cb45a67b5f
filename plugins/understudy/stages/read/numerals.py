"""Numbers that are not written as 1234.5: with a decimal comma, or with a mark between thousands."""

from typing import TYPE_CHECKING, NamedTuple

from understudy.stages.read.column_kind import is_text

if TYPE_CHECKING:
    import polars as pl

# Exports write one mark in several ways: spaces that do not break, the typographic apostrophe.
MARKS = {",": ",", ".": r"\.", " ": "[ \u00a0\u202f]", "'": "['\u2019]"}
TRUTH = ("true", "false")
NO_NUMBER = "(?i:inf(?:inity)?|nan)"
LOOKED_AT_FIRST = 100
MOSTLY = 0.9
"""Which share of a column's values has to be numbers for the others to be what is odd about it."""


class Numerals(NamedTuple):
    """Say how a file writes numbers."""

    decimal: str = "."
    thousands: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the reader of CSV files understands them by itself."""
        return self == Numerals()

    @property
    def whole(self) -> str:
        """Match the digits of a whole number; a group of thousands begins with no zero, as 0,125 is none."""
        return rf"(?:\d+|[1-9]\d{{0,2}}(?:{MARKS[self.thousands]}\d{{3}})+)" if self.thousands else r"\d+"

    @property
    def number(self) -> str:
        """Match a number without its sign."""
        point = MARKS[self.decimal]
        return rf"(?:(?:{self.whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?)"


def typed(table: "pl.DataFrame", numerals: Numerals, texts: frozenset[str] = frozenset()) -> "pl.DataFrame":
    """Turn text columns, all but ``texts``, into what all their values are: whole numbers, numbers or truth values.

    A column that does not fit the numerals but is written plainly is read so: 12.5 means one thing only, unless points
    separate thousands.
    """
    return table.with_columns(
        _typed(table[column], numerals) for column in table.columns if column not in texts and is_text(table[column])
    )


def all_match(values: "pl.Series", pattern: str) -> bool:
    """Tell whether a text column has values and every one is matched as a whole, but for spaces around it."""
    filled = values.drop_nulls()
    looked_at = (filled.head(LOOKED_AT_FIRST), filled)
    return bool(len(filled)) and all(v.str.strip_chars().str.contains(rf"^(?:{pattern})$").all() for v in looked_at)


def without_nan(table: "pl.DataFrame") -> "pl.DataFrame":
    """Take what is written as no number for a missing value."""
    import polars.selectors as cs

    return table.with_columns(cs.float().fill_nan(None))


def mostly_numbers(values: "pl.Series", numerals: Numerals) -> bool:
    """Tell a text column that would be one of numbers but for a few of its values, or none of those at hand."""
    if not is_text(values):
        return False
    filled = values.drop_nulls()
    return len(filled) > 0 and len(filled.filter(filled.str.contains(_any_number(numerals)))) >= MOSTLY * len(filled)


def is_no_number(column: str, numerals: Numerals) -> "pl.Expr":
    """Tell which values of a text column are no numbers; a missing value is not one of them."""
    import polars as pl

    return pl.col(column).is_not_null() & ~pl.col(column).str.contains(_any_number(numerals))


def _any_number(numerals: Numerals) -> str:
    return rf"^\s*[+-]?(?:{numerals.number}|{Numerals().number}|{NO_NUMBER})\s*$"


def _typed(values: "pl.Series", numerals: Numerals) -> "pl.Series":
    import polars as pl

    if all_match(values, "(?i:true|false)"):
        return values.str.strip_chars().str.to_lowercase() == TRUTH[0]
    for way in (numerals,) if numerals.is_plain or numerals.thousands == "." else (numerals, Numerals()):
        if all_match(values, rf"[+-]?(?:{way.number}|{NO_NUMBER})"):
            kind = pl.Int64 if all_match(values, rf"[+-]?{way.whole}") else pl.Float64
            plain = values.str.strip_chars()
            if way.thousands:
                plain = plain.str.replace_all(MARKS[way.thousands], "")
            number = plain.str.replace(way.decimal, ".", literal=True).cast(kind, strict=False)
            # A whole number that no column of numbers can hold is a code, and stays the text that it is.
            return number if number.null_count() == values.null_count() else values
    return values
