"""Text columns that are numbers to a person: with a decimal comma, marks between thousands, or a unit."""

from typing import TYPE_CHECKING

from understudy.infer.disguised_nulls import WORDS
from understudy.infer.notes import listed, of_columns
from understudy.stages.read.column_kind import NUMERIC, is_text, kind_of
from understudy.stages.read.numerals import NO_NUMBER, Numerals, all_match, is_no_number, mostly_numbers

if TYPE_CHECKING:
    import polars as pl

DECIMAL_COMMA = (Numerals(","), Numerals(",", "."), Numerals(",", " "), Numerals(",", "'"))
DECIMAL_POINT = (Numerals(".", ","), Numerals(".", " "), Numerals(".", "'"))
UNIT = r"(?:[\p{Sc}%‰]|EUR|USD|GBP|CHF|JPY)"
MARK_NAMES = {",": "a comma", ".": "a point", " ": "a space", "'": "an apostrophe"}
SHOWN_TEXTS = 3


def likely_numerals(table: "pl.DataFrame", delimiter: str | None) -> list[Numerals]:
    """List the ways to write numbers that make numbers of text columns, the one that explains most of them first.

    Where 1,234 could be either, a file whose fields are not separated by commas has a decimal comma. A column whose
    values are plain numbers but for words like ``?`` speaks for no way, and against one that it cannot be read in.
    """
    ways = (*DECIMAL_POINT, *DECIMAL_COMMA) if delimiter in (None, ",") else (*DECIMAL_COMMA, *DECIMAL_POINT)
    texts = [_without_words(table[column]) for column in table.columns if is_text(table[column])]
    are_plain = [_are_plain(values) for values in texts]
    marked = [values for values, is_plain in zip(texts, are_plain, strict=True) if not is_plain]
    plain = [values for values, is_plain in zip(texts, are_plain, strict=True) if is_plain]
    explained = {way: sum(all_match(values, rf"[+-]?{way.number}") for values in marked) for way in ways}
    fitting = [way for way in ways if explained[way] and all(_can_read(values, way) for values in plain)]
    return sorted(fitting, key=lambda way: -explained[way])


def loses_numbers(before: "pl.DataFrame", after: "pl.DataFrame") -> bool:
    """Tell whether a column of numbers is one of texts in another reading."""
    return any(kind_of(before.schema[c]) in NUMERIC and is_text(after[c]) for c in before.columns)


def about_numerals(before: "pl.DataFrame", after: "pl.DataFrame", numerals: Numerals) -> list[str]:
    """Say in which columns the numerals made numbers of texts."""
    changed = [c for c in before.columns if is_text(before[c]) and _reads_otherwise(before[c], after[c])]
    if not changed:
        return []
    fields = ["data.decimal"] if numerals.decimal == "," else []
    fields += ["data.thousands"] if numerals.thousands else []
    marks = [f"{MARK_NAMES[numerals.decimal]} before the decimals"] if numerals.decimal == "," else []
    marks += [f"{MARK_NAMES[numerals.thousands]} between the thousands"] if numerals.thousands else []
    example = _telling(before[changed[0]])
    return [
        f"{listed(changed)} write{'s' if len(changed) == 1 else ''} numbers with {' and '.join(marks)} "
        f"({example} is read as {_read_as(before[changed[0]], after[changed[0]], example)}); "
        f"{' and '.join(fields)} say{'s' if len(fields) == 1 else ''} so."
    ]


def about_units(table: "pl.DataFrame") -> list[str]:
    """Name the columns whose numbers carry a unit, which no reader takes for numbers."""
    return of_columns(
        (
            column,
            f"{column} writes numbers with a unit ({example}), so they are texts here. Export them without it, or "
            "take it off in data.prepare.",
        )
        for column in table.columns
        for example in [number_with_unit(table[column])]
        if example
    )


def about_texts_among_numbers(table: "pl.DataFrame", numerals: Numerals) -> list[str]:
    """Name the columns of numbers that a few texts have made columns of texts."""
    notes = []
    for column in table.columns:
        if not mostly_numbers(table[column], numerals):
            continue
        texts = table.filter(is_no_number(column, numerals))[column]
        shown = ", ".join(map(repr, texts.unique(maintain_order=True).head(SHOWN_TEXTS)))
        if shown:
            note = (
                f"{column} holds numbers but for {len(texts):,} text{'s' if len(texts) > 1 else ''} ({shown}), and so "
                "all its values are taken for texts. If these stand for a missing value, add them to data.nulls; else "
                "repair the source."
            )
            notes.append((column, note))
    return of_columns(notes)


def number_with_unit(values: "pl.Series") -> str | None:
    """Give an example where all values of a text column are numbers with a currency or a percent sign."""
    if not is_text(values):
        return None
    shown = _without_words(values)
    numbers = "|".join(way.number for way in (*DECIMAL_POINT, *DECIMAL_COMMA))
    pattern = rf"[+-]?{UNIT}\s*[+-]?(?:{numbers})|[+-]?(?:{numbers})\s*{UNIT}"
    return str(shown.drop_nulls()[0]) if all_match(shown, pattern) else None


def _without_words(values: "pl.Series") -> "pl.Series":
    """Leave out what stands for a missing value, which is looked for later."""
    others: pl.Series = values.filter(~values.str.to_lowercase().is_in(list(WORDS)))
    return others


def _are_plain(values: "pl.Series") -> bool:
    """Tell whether all values of a text column are numbers without any marks."""
    return all_match(values, rf"[+-]?(?:{Numerals().number}|{NO_NUMBER})")


def _can_read(plain: "pl.Series", way: Numerals) -> bool:
    """Tell whether plain numbers stay numbers in a file that is read in this way."""
    # Only points between thousands keep the reader from falling back on plain numbers.
    return way.thousands != "." or all_match(plain, rf"[+-]?(?:{way.number}|{NO_NUMBER})")


def _reads_otherwise(before: "pl.Series", after: "pl.Series") -> bool:
    """Tell whether a text column became numbers that it does not hold when it is read plainly."""
    import polars as pl

    if kind_of(after.dtype) not in NUMERIC:
        return False
    plain = before.str.strip_chars().cast(pl.Float64, strict=False)
    return bool((after.is_not_null() & plain.ne_missing(after.cast(pl.Float64))).any())


def _telling(values: "pl.Series") -> str:
    """Choose a value that shows the marks."""
    marked = values.drop_nulls().filter(values.drop_nulls().str.contains(r"\D.*\d"))
    return str(marked[0] if len(marked) else values.drop_nulls()[0])


def _read_as(before: "pl.Series", after: "pl.Series", example: str) -> str:
    return f"{after.filter(before == example)[0]}"
