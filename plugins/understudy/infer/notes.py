"""What is told of columns: of each one while they are few, else of one of them with the names of the others."""

from collections.abc import Iterable

SHOWN_COLUMNS = 5


def of_columns(told: Iterable[tuple[str, str]]) -> list[str]:
    """Give the notes of columns, each after its column and all of one kind; beyond five, the first stands for all."""
    notes = list(told)
    if len(notes) <= SHOWN_COLUMNS:
        return [note for _, note in notes]
    return [f"{notes[0][1]} The same goes for {listed([column for column, _ in notes[1:]])}."]


def listed(columns: list[str]) -> str:
    """Name the first columns, and count the others."""
    more = len(columns) - SHOWN_COLUMNS
    if more > 0:
        return f"{', '.join(columns[:SHOWN_COLUMNS])} and {more:,} more"
    return " and ".join([", ".join(columns[:-1]), columns[-1]] if len(columns) > 1 else columns)
