"""How moments are written for people: in UTC and saying so, on pages, on terminals and in alerts alike."""

from datetime import datetime, timezone

_AGES = (("d", 86_400), ("h", 3_600), ("min", 60))


def moment(at: datetime) -> str:
    """Write a moment to the minute."""
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def moment_to_the_second(at: datetime) -> str:
    """Write a moment to the second, where one event is told from the next."""
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def age(at: datetime, now: datetime | None = None) -> str:
    """Say how long ago a moment was, in one unit."""
    seconds = ((now or datetime.now(timezone.utc)) - at).total_seconds()
    for unit, length in _AGES:
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now" if seconds >= 0 else "in the future"


def stretch(start: datetime, end: datetime) -> str:
    """Write a stretch of time, to the minute."""
    return f"{moment(start).removesuffix(' UTC')} to {moment(end)}"
