"""The deliveries of alerts, as rows: which are due, which went out, which have to wait."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from understudy.contract.alerts.alert import Alert
from understudy.contract.alerts.rate import HOUR
from understudy.contract.declared import Fact
from understudy.contract.words import AlertKind, Severity
from understudy.hooks.alerting.schema import ALERTS, DELIVERIES, moment_of, text_of

CLAIM = timedelta(minutes=5)
"""How long until a delivery whose sender has gone silent is taken over; longer than any receiver may take."""


class Delivery(Fact):
    """Show one alert on its way to one receiver."""

    key: str
    kind: AlertKind
    model: str
    receiver: str
    at: datetime
    sent_at: datetime | None
    attempts: int
    next_at: datetime
    problem: str | None
    sentence: str


def _is_open(now: datetime) -> Any:
    at = text_of(now)
    free = DELIVERIES.c.claimed_until.is_(None) | (DELIVERIES.c.claimed_until <= at)
    return DELIVERIES.c.sent_at.is_(None) & free & (DELIVERIES.c.next_at <= at)


def due(connection: Connection, now: datetime) -> list[tuple[str, str]]:
    """List the receivers that wait for something now, and the models that it is about, the most severe first."""
    query = (
        select(DELIVERIES.c.receiver, DELIVERIES.c.model, ALERTS.c.kind)
        .join(ALERTS, ALERTS.c.key == DELIVERIES.c.key)
        .where(_is_open(now))
        .distinct()
    )
    severities = list(Severity)
    found = sorted(
        (severities.index(AlertKind(row.kind).severity), str(row.receiver), str(row.model))
        for row in connection.execute(query)
    )
    return list(dict.fromkeys((receiver, model) for _, receiver, model in found))


def waiting(connection: Connection, receiver: str, model: str, now: datetime) -> list[Alert]:
    """Read the alerts about a model that wait for a receiver now."""
    query = (
        select(ALERTS.c.alert)
        .join(DELIVERIES, ALERTS.c.key == DELIVERIES.c.key)
        .where(_is_open(now), DELIVERIES.c.receiver == receiver, DELIVERIES.c.model == model)
    )
    return [Alert.model_validate_json(row.alert) for row in connection.execute(query)]


def sent_since(connection: Connection, receiver: str, model: str, since: datetime) -> list[datetime]:
    """List the messages that went out, and those that are on their way: another sender's claim counts as sent."""
    mine = (DELIVERIES.c.receiver == receiver) & (DELIVERIES.c.model == model)
    query = (
        select(DELIVERIES.c.message, func.min(DELIVERIES.c.sent_at).label("sent_at"))
        .where(mine, DELIVERIES.c.sent_at > text_of(since))
        .group_by(DELIVERIES.c.message)
    )
    under_way = (
        select(DELIVERIES.c.claim, func.min(DELIVERIES.c.claimed_until).label("until"))
        .where(mine, DELIVERIES.c.claim.is_not(None), DELIVERIES.c.claimed_until > text_of(since + HOUR))
        .group_by(DELIVERIES.c.claim)
    )
    sent = [moment_of(row.sent_at) for row in connection.execute(query)]
    return sent + [moment_of(row.until) - CLAIM for row in connection.execute(under_way)]


def mark(connection: Connection, receiver: str, alerts: Iterable[Alert], **values: Any) -> None:
    """Change the deliveries of some alerts to a receiver."""
    keys = [alert.key[:400] for alert in alerts]
    mine = (DELIVERIES.c.receiver == receiver) & DELIVERIES.c.key.in_(keys)
    connection.execute(update(DELIVERIES).where(mine).values(**values))


def postpone(connection: Connection, receiver: str, model: str, now: datetime, until: datetime) -> None:
    """Let what waits for a receiver about a model wait longer."""
    mine = (DELIVERIES.c.receiver == receiver) & (DELIVERIES.c.model == model)
    connection.execute(update(DELIVERIES).where(mine, _is_open(now)).values(next_at=text_of(until)))


def delivery_of(row: Any) -> Delivery:
    """Read a delivery that was joined with its alert."""
    alert = Alert.model_validate_json(row.alert)
    return Delivery(
        key=row.key,
        kind=alert.kind,
        model=alert.model,
        receiver=row.receiver,
        at=alert.at,
        sent_at=moment_of(row.sent_at) if row.sent_at else None,
        attempts=row.attempts,
        next_at=moment_of(row.next_at),
        problem=row.problem,
        sentence=alert.sentence,
    )
