"""How many messages of a model one receiver gets within an hour, and what is summed up. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from understudy.contract.alert import Alert
from understudy.contract.declared import Fact
from understudy.contract.words import Severity

HOUR = timedelta(hours=1)
GATHER = timedelta(minutes=1)
"""How long the last message of an hour waits for others to sum up."""


class Batch(Fact):
    """Name the alerts that go out now: each by itself, or all in one message."""

    alerts: tuple[Alert, ...] = ()
    is_summary: bool = False
    wait_until: datetime | None = None
    """When to look again, where something waits for its turn."""


def next_batch(waiting: Sequence[Alert], sent: Sequence[datetime], now: datetime, per_hour: int) -> Batch:
    """Choose what goes out now, the most severe and the oldest first.

    All but one message of an hour tell one alert each; the last one waits a moment and sums up the rest, and what comes
    after it waits until an hour has passed since the first.

    :param sent: when messages of this model went to this receiver.
    """
    recent = sorted(moment for moment in sent if now - moment < HOUR)
    left = per_hour - len(recent)
    if not waiting:
        return Batch()
    if left <= 0:
        return Batch(wait_until=recent[0] + HOUR)
    ordered = sorted(waiting, key=lambda alert: (list(Severity).index(alert.severity), alert.at))
    if left > 1:
        rest = ordered[left - 1 :]
        return Batch(alerts=tuple(ordered[: left - 1]), wait_until=now + GATHER if rest else None)
    gathered = min(alert.at for alert in ordered) + GATHER
    if now < gathered:
        return Batch(wait_until=gathered)
    return Batch(alerts=tuple(ordered), is_summary=len(ordered) > 1)
