"""How moments are written for people: in UTC and saying so, on pages, on terminals and in alerts alike."""

from datetime import datetime, timezone


def moment(at: datetime) -> str:
    """Write a moment to the minute."""
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def moment_to_the_second(at: datetime) -> str:
    """Write a moment to the second, where one event is told from the next."""
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def stretch(start: datetime, end: datetime) -> str:
    """Write a stretch of time, to the minute."""
    return f"{moment(start).removesuffix(' UTC')} to {moment(end)}"
