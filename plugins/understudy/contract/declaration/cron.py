"""Cron expressions of five fields, checked before Airflow sees them: one that it cannot read is an error there."""

import re
from datetime import timedelta

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

RARER = 1.1
"""How much longer than what was asked for an interval may be on average: a month stands for four weeks."""
DAY, MONTH = timedelta(days=1), timedelta(days=365.2425 / 12)
INTERVALS: tuple[tuple[timedelta, str, str], ...] = (
    (12 * MONTH, "0 3 1 1 *", "once a year"),
    *((months * MONTH, f"0 3 1 */{months} *", f"every {months} months") for months in (6, 4, 3, 2)),
    (MONTH, "0 3 1 * *", "once a month"),
    (MONTH / 2, "0 3 1,16 * *", "twice a month"),
    (MONTH / 3, "0 3 1,11,21 * *", "three times a month"),
    (7 * DAY, "0 3 * * 1", "every Monday"),
    (3.5 * DAY, "0 3 * * 1,4", "every Monday and Thursday"),
    (MONTH / 15.5, "0 3 */2 * *", "every odd day of the month"),
    (DAY, "0 3 * * *", "every day"),
    *((DAY / (24 // hours), f"0 */{hours} * * *", f"every {hours} hours") for hours in (12, 8, 6, 4, 3, 2)),
    (DAY / 24, "0 * * * *", "every hour"),
    *((timedelta(minutes=m), f"*/{m} * * * *", f"every {m} minutes") for m in (30, 20, 15, 12, 10, 6, 5, 4, 3, 2)),
    (timedelta(minutes=1), "* * * * *", "every minute"),
)
"""Intervals that cron can say, rarest first: how long they are on average, how it says them, and in words."""


def nearest_cron(every: timedelta) -> tuple[str, str, bool]:
    """Give the rarest cron expression that is on average at most a tenth rarer than an interval; minutes at least.

    Cron counts within months and weeks, so it cannot say "every ten days".

    :returns: the expression, the same in words, and whether it is exactly what was asked for.
    """
    length, cron, words = next((told for told in INTERVALS if told[0] <= every * RARER), INTERVALS[-1])
    return cron, words, length == every


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
