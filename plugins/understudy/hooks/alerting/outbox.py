"""The outbox of alerts: tables beside the ledger that say what is to be told to whom, and what was."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection, exists, func, insert, select, update

from understudy.contract.alerts.alert import Alert
from understudy.contract.alerts.rate import HOUR, next_turn
from understudy.contract.declared import Fact
from understudy.hooks.alerting.deliveries import CLAIM, Delivery, delivery_of, due, mark, postpone, sent_since, waiting
from understudy.hooks.alerting.schema import ALERTS, CURSORS, DELIVERIES, METADATA, STANDING, moment_of, text_of
from understudy.hooks.ledger.ledger import Ledger

FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
LOOK_BACK = timedelta(hours=1)
"""How much of an existing ledger is told when alerts are looked at for the first time."""
LEDGER_CURSOR = "ledger"
_HAS_RECEIVERS = exists().where(DELIVERIES.c.key == ALERTS.c.key)


class Claimed(Fact):
    """Hold what one sender, and nobody else, sends to one receiver now."""

    claim: str
    receiver: str
    model: str
    alerts: tuple[Alert, ...]
    """One, or many that are summed up."""


class Addressed(Fact):
    """Say to whom an alert goes."""

    alert: Alert
    to: tuple[str, ...]
    told: tuple[str, ...] = ()
    """Those of them that have it already."""


class Outbox:
    """Keep alerts and their deliveries in the ledger's database; every change is one transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def put(self, addressed: Iterable[Addressed], *, up_to: int | None = None) -> int:
        """Add alerts that are not known yet, each with its receivers; return how many have receivers since.

        :param up_to: the ledger entry up to which everything was looked at.
        """
        new = 0
        with self._ledger.writing() as pen:
            METADATA.create_all(pen.connection)
            for one in addressed:
                new += _put(pen.connection, one)
            if up_to is not None:
                _move_cursor(pen.connection, up_to)
        return new

    def unaddressed(self, since: datetime) -> list[Alert]:
        """List the alerts of some time that were put by processes which knew nobody to tell."""
        with self._ledger.reading() as connection:
            if connection is None or not _exists(connection):
                return []
            query = select(ALERTS.c.alert).where(ALERTS.c.at >= text_of(since), ~_HAS_RECEIVERS).order_by(ALERTS.c.at)
            return [Alert.model_validate_json(row.alert) for row in connection.execute(query)]

    def looked_at(self) -> int | None:
        """Say up to which ledger entry everything was looked at; None where nobody has looked yet."""
        with self._ledger.reading() as connection:
            if connection is None or not _exists(connection):
                return None
            query = select(CURSORS.c.seq).where(CURSORS.c.name == LEDGER_CURSOR)
            return connection.execute(query).scalar_one_or_none()

    def stand(self, holding: Iterable[str], checked: Iterable[str], now: datetime) -> dict[str, datetime]:
        """Remember which conditions hold; return since when each has held.

        :param checked: the beginnings of the names that were asked about; others are left as they are.
        """
        names = set(holding)
        with self._ledger.writing() as pen:
            METADATA.create_all(pen.connection)
            known = {row.name: row.since for row in pen.connection.execute(select(STANDING))}
            over = [name for name in known if name not in names and name.startswith(tuple(checked))]
            if over:
                pen.connection.execute(STANDING.delete().where(STANDING.c.name.in_(over)))
            for name in sorted(names - set(known)):
                pen.connection.execute(insert(STANDING).values(name=name, since=text_of(now)))
                known[name] = text_of(now)
        return {name: moment_of(known[name]) for name in names}

    def claim(self, now: datetime, per_hour: Callable[[str], int], skip: Iterable[str] = ()) -> Claimed | None:
        """Take what may be sent now to one receiver about one model; None where nothing is due.

        :param per_hour: gives a model's limit of messages.
        :param skip: receivers that have just failed.
        """
        failed = set(skip)
        with self._ledger.writing() as pen:
            METADATA.create_all(pen.connection)
            for receiver, model in due(pen.connection, now):
                if receiver in failed:
                    continue
                turn = next_turn(
                    waiting(pen.connection, receiver, model, now),
                    sent_since(pen.connection, receiver, model, now - HOUR),
                    now,
                    per_hour(model),
                )
                if turn.alerts:
                    claim = uuid4().hex
                    mark(
                        pen.connection,
                        receiver,
                        turn.alerts,
                        claim=claim,
                        claimed_until=text_of(now + CLAIM),
                        attempts=DELIVERIES.c.attempts + 1,
                    )
                    return Claimed(claim=claim, receiver=receiver, model=model, alerts=turn.alerts)
                if turn.wait_until is not None:
                    postpone(pen.connection, receiver, model, now, turn.wait_until)
        return None

    def sent(self, claimed: Claimed, now: datetime) -> None:
        """Note that a message was taken by its receiver."""
        with self._ledger.writing() as pen:
            mine = DELIVERIES.c.claim == claimed.claim
            pen.connection.execute(
                update(DELIVERIES)
                .where(mine)
                .values(sent_at=text_of(now), message=claimed.claim, claim=None, claimed_until=None, problem=None)
            )

    def failed(self, claimed: Claimed, problem: str, now: datetime) -> None:
        """Note why a message was not taken, and when to try again."""
        with self._ledger.writing() as pen:
            mine = DELIVERIES.c.claim == claimed.claim
            attempts = pen.connection.execute(select(func.max(DELIVERIES.c.attempts)).where(mine)).scalar() or 1
            pause = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY)
            pen.connection.execute(
                update(DELIVERIES)
                .where(mine)
                .values(next_at=text_of(now + pause), claim=None, claimed_until=None, problem=problem)
            )

    def deliveries(self, limit: int, *, only_open: bool = False) -> list[Delivery]:
        """List the newest deliveries."""
        with self._ledger.reading() as connection:
            if connection is None or not _exists(connection):
                return []
            query = (
                select(DELIVERIES, ALERTS.c.alert)
                .join(ALERTS, ALERTS.c.key == DELIVERIES.c.key)
                .order_by(ALERTS.c.at.desc(), DELIVERIES.c.receiver)
                .limit(limit)
            )
            if only_open:
                query = query.where(DELIVERIES.c.sent_at.is_(None))
            return [delivery_of(row) for row in connection.execute(query)]


def _exists(connection: Connection) -> bool:
    return connection.dialect.has_table(connection, CURSORS.name)


def _put(connection: Connection, addressed: Addressed) -> int:
    alert = addressed.alert
    key, at = alert.key[:400], text_of(alert.at)
    known = connection.execute(select(_HAS_RECEIVERS).where(ALERTS.c.key == key)).scalar_one_or_none()
    if known:
        return 0
    if known is None:
        row = {"key": key, "at": at, "model": alert.model, "kind": alert.kind.value}
        connection.execute(insert(ALERTS).values(**row, alert=alert.model_dump_json()))
    for receiver in dict.fromkeys(addressed.to):
        told = {"sent_at": at, "message": uuid4().hex} if receiver in addressed.told else {}
        connection.execute(
            insert(DELIVERIES).values(key=key, receiver=receiver, model=alert.model, attempts=0, next_at=at, **told)
        )
    return 1 if addressed.to else 0


def _move_cursor(connection: Connection, seq: int) -> None:
    here = CURSORS.c.name == LEDGER_CURSOR
    known = connection.execute(select(CURSORS.c.seq).where(here)).scalar_one_or_none()
    if known is None:
        connection.execute(insert(CURSORS).values(name=LEDGER_CURSOR, seq=seq))
    elif known < seq:
        connection.execute(update(CURSORS).where(here).values(seq=seq))
