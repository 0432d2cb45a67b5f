"""Cron expressions of five fields, checked before Airflow sees them: one that it cannot read is an error there."""

import re

PART = re.compile(r"^(?:(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d{1,3}))?$")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(MONTHS, start=1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(DAYS)}),
)


def cron_problem(expression: str) -> str | None:
    """Say in words what is wrong with a cron expression; None when it can be used."""
    fields = expression.split()
    if len(fields) != len(FIELDS):
        return f"{expression!r} is not a cron expression of five fields, for example '0 3 * * 1'"
    for text, (name, low, high, words) in zip(fields, FIELDS, strict=True):
        for part in text.split(","):
            if not _fits(part, low, high, words):
                return (
                    f"{expression!r} is not a cron expression: {part!r} is no {name}; write {low} to {high}, "
                    f"a range (1-5), a step (*/2) or a list (1,3)"
                )
    return None


def _fits(part: str, low: int, high: int, words: dict[str, int]) -> bool:
    match = PART.match(part)
    if match is None or (match["step"] and int(match["step"]) == 0):
        return False
    if match["all"]:
        return True
    first, last = (_number(text, words) for text in (match["first"], match["last"] or match["first"]))
    return first is not None and last is not None and low <= first <= last <= high


def _number(text: str, words: dict[str, int]) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else words.get(text.lower())
