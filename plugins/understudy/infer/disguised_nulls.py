"""Values that stand for "missing" without saying so."""

from collections import defaultdict
from typing import TYPE_CHECKING

from understudy.infer.notes import SHOWN_COLUMNS, of_columns
from understudy.stages.read.column_kind import NUMERIC, kind_of

if TYPE_CHECKING:
    import polars as pl

WORDS = frozenset(
    {"?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "null", "nil", "unknown", "missing", "not available"}
)
SENTINELS = (-9, -99, -999, -9999, -99999)
LOOKALIKES = (999, 9999, 99999)


def disguised_nulls(table: "pl.DataFrame", target: str, decimal: str = ".") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Find texts that mean missing, and say where they stand.

    ``data.nulls`` holds for all columns, so a text that is also a class of the target, or a number that other columns
    hold as an ordinary value, is only pointed out.
    """
    import polars as pl

    where: dict[str, dict[str, float]] = defaultdict(dict)
    doubtful: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for column in table.columns:
        values = table[column]
        if kind_of(values.dtype) == "text" and values.dtype == pl.String:
            levels = values.drop_nulls().unique()
            for text in levels.filter(levels.str.to_lowercase().is_in(list(WORDS))).sort():
                where[text][column] = _share(values == text)
        elif kind_of(values.dtype) in NUMERIC and column != target:
            for number in _far_away(values):
                share = _share(values == number)
                if number in SENTINELS:
                    where[_as_text(number, values, decimal)][column] = share
                else:
                    note = (
                        f"{column} is {number} in {share:.1%} of the rows, far from all its other values. "
                        "If that means missing, add "
                        f'"{number}" to data.nulls.'
                    )
                    doubtful[number].append((column, note))
    found, notes = [], []
    for text, columns in where.items():
        ordinary = target in columns or any(_holds(table[c], text) for c in table.columns if c not in columns)
        named = ", ".join(f"{column} ({share:.1%})" for column, share in list(columns.items())[:SHOWN_COLUMNS])
        more = f" and {len(columns) - SHOWN_COLUMNS} more" if len(columns) > SHOWN_COLUMNS else ""
        if ordinary:
            notes.append(
                f"{text!r} looks like a missing value in {named}{more}, but is an ordinary one elsewhere, "
                "so it was left alone."
            )
        else:
            found.append(text)
            notes.append(f"{text!r} stands for a missing value in {named}{more}; it is listed in data.nulls.")
    return tuple(found), (*notes, *(note for told in doubtful.values() for note in of_columns(told)))


def _share(hits: "pl.Series") -> float:
    return int(hits.sum()) / max(len(hits), 1)


def _far_away(values: "pl.Series") -> list[int]:
    """Find sentinel numbers that occur repeatedly and lie farther from the other values than these spread."""
    lowest, highest = values.min(), values.max()
    return [
        number for number in (*SENTINELS, *LOOKALIKES) if number in (lowest, highest) and _is_lonely(values, number)
    ]


def _is_lonely(values: "pl.Series", number: int) -> bool:
    others = values.filter(values != number)
    least, most = others.min(), others.max()
    if (
        len(values) - len(others) - values.null_count() < 3
        or not isinstance(least, (int, float))
        or not isinstance(most, (int, float))
    ):
        return False
    spread = most - least
    return min(abs(number - least), abs(number - most)) > max(spread, 1.0)


def _holds(values: "pl.Series", text: str) -> bool:
    if kind_of(values.dtype) not in NUMERIC:
        return False
    try:
        return bool((values == float(text.replace(",", "."))).any())
    except ValueError:
        return False


def _as_text(number: int, values: "pl.Series", decimal: str) -> str:
    """Write the number as the file most likely does."""
    return str(number) if kind_of(values.dtype) == "integer" else f"{number}{decimal}0"
