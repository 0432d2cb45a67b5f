"""How many messages of a model one receiver gets within an hour, and what is summed up. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from understudy.contract.alerts.alert import Alert
from understudy.contract.declared import Fact
from understudy.contract.words import Severity

HOUR = timedelta(hours=1)
GATHER = timedelta(minutes=1)
"""How long the last message of an hour waits for others to sum up."""

CRITICAL_PER_HOUR = 60
"""How many messages may go out in an hour before critical ones wait too: a person can take in one a minute."""


class Turn(Fact):
    """Name what the next message tells: one alert, or many in a summary; or until when to wait."""

    alerts: tuple[Alert, ...] = ()
    wait_until: datetime | None = None
    """When to look again where nothing may go out yet."""


def next_turn(waiting: Sequence[Alert], sent: Sequence[datetime], now: datetime, per_hour: int) -> Turn:
    """Choose the next message, the most severe and the oldest alert first.

    All but one message of an hour tell one alert each; the last one waits a moment and sums up the rest, and what comes
    after it waits until an hour has passed since the first. What is critical does not wait behind anything else.

    :param sent: when messages of this model went to this receiver.
    """
    recent = sorted(moment for moment in sent if now - moment < HOUR)
    critical = [alert for alert in waiting if alert.severity is Severity.CRITICAL]
    if critical:
        return _turn(critical, recent, now, max(per_hour, CRITICAL_PER_HOUR))
    return _turn(waiting, recent, now, per_hour)


def _turn(waiting: Sequence[Alert], recent: Sequence[datetime], now: datetime, per_hour: int) -> Turn:
    left = per_hour - len(recent)
    if not waiting:
        return Turn()
    if left <= 0:
        return Turn(wait_until=recent[-per_hour] + HOUR)
    ordered = sorted(waiting, key=lambda alert: (list(Severity).index(alert.severity), alert.at))
    if left > 1:
        return Turn(alerts=(ordered[0],))
    gathered = min(alert.at for alert in ordered) + GATHER
    return Turn(wait_until=gathered) if now < gathered else Turn(alerts=tuple(ordered))
