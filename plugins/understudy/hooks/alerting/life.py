"""The sign of life of alerting itself: when the last sweep ended, and since when something waits to be told."""

from datetime import datetime, timezone

from sqlalchemy import delete, func, insert, select

from understudy.contract.declared import Fact
from understudy.hooks.alerting.schema import ALERTS, CURSORS, DELIVERIES, METADATA, moment_of, text_of
from understudy.hooks.ledger.ledger import Ledger

SWEPT_CURSOR = "swept"


class AlertLife(Fact):
    """Say how alerting is."""

    swept_at: datetime | None = None
    """When a sweep last ended; None where none ever did."""
    waiting: int = 0
    """Deliveries that are due and did not go out, or failed at least once."""
    oldest_at: datetime | None = None
    """When what the oldest of them tells happened."""


def note_sweep(ledger: Ledger, now: datetime) -> None:
    """Note that a sweep ended; what its receivers did not take is counted by itself."""
    with ledger.writing() as pen:
        METADATA.create_all(pen.connection)
        pen.connection.execute(delete(CURSORS).where(CURSORS.c.name == SWEPT_CURSOR))
        pen.connection.execute(insert(CURSORS).values(name=SWEPT_CURSOR, seq=int(now.timestamp())))


def alert_life(ledger: Ledger, now: datetime) -> AlertLife:
    """Read how alerting is; what the hourly limit holds back has not failed and is not counted.

    :raises LedgerUnavailable: where the ledger's database does not answer.
    """
    with ledger.reading() as connection:
        if connection is None or not connection.dialect.has_table(connection, CURSORS.name):
            return AlertLife()
        swept = connection.execute(select(CURSORS.c.seq).where(CURSORS.c.name == SWEPT_CURSOR)).scalar_one_or_none()
        is_late = (DELIVERIES.c.next_at <= text_of(now)) | DELIVERIES.c.problem.is_not(None)
        late = connection.execute(
            select(func.count().label("count"), func.min(ALERTS.c.at).label("oldest"))
            .join_from(DELIVERIES, ALERTS, DELIVERIES.c.key == ALERTS.c.key)
            .where(DELIVERIES.c.sent_at.is_(None), is_late)
        ).one()
    return AlertLife(
        swept_at=None if swept is None else datetime.fromtimestamp(swept, timezone.utc),
        waiting=late[0],
        oldest_at=moment_of(late[1]) if late[1] else None,
    )
