"""How long a schedule may leave a model without a look."""

from datetime import datetime, timezone
from functools import lru_cache
from itertools import pairwise

FIRES = 60
"""Enough to meet a weekend, a night and a month's end between two of them."""


@lru_cache(maxsize=1024)
def longest_gap_s(schedule: str) -> float:
    """Measure the longest time between two fires of a cron expression, in seconds, over the next sixty of them.

    The time zone is left out: it moves the fires, and the gaps by an hour twice a year.
    """
    from croniter import croniter

    fires = croniter(schedule, datetime(2026, 1, 1, tzinfo=timezone.utc))
    moments = [float(fires.get_next(float)) for _ in range(FIRES)]
    return max(later - earlier for earlier, later in pairwise(moments))
