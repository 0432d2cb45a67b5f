"""The outbox's tables, in the ledger's database and no part of the ledger: their rows change."""

from datetime import datetime, timezone

from sqlalchemy import Column, Integer, MetaData, String, Table, Text

METADATA = MetaData()
ALERTS = Table(
    "alerts",
    METADATA,
    Column("key", String(400), primary_key=True),
    Column("at", String(40), nullable=False),
    Column("model", String(100), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("alert", Text, nullable=False),
)
DELIVERIES = Table(
    "alert_deliveries",
    METADATA,
    Column("key", String(400), primary_key=True),
    Column("receiver", String(250), primary_key=True),
    Column("model", String(100), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("next_at", String(40), nullable=False),
    Column("claim", String(40)),
    Column("claimed_until", String(40)),
    Column("message", String(40)),  # which message told it; several alerts have the same where they were summed up
    Column("sent_at", String(40), index=True),
    Column("problem", Text),
)
CURSORS = Table(
    "alert_cursors", METADATA, Column("name", String(40), primary_key=True), Column("seq", Integer, nullable=False)
)
STANDING = Table(
    "alert_conditions", METADATA, Column("name", String(390), primary_key=True), Column("since", String(40))
)


def text_of(moment: datetime) -> str:
    """Write moments so that their texts are ordered as they are."""
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds")


def moment_of(text: str) -> datetime:
    """Read a moment that was written so."""
    return datetime.fromisoformat(text)
