"""Whether alerting itself lives, as the exporter reads it."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from understudy.contract.alerts.alert import Alert
from understudy.contract.words import AlertKind, EntryKind
from understudy.hooks.alerting.life import AlertLife, alert_life, note_sweep
from understudy.hooks.alerting.outbox import Addressed, Outbox
from understudy.hooks.ledger.ledger import Ledger

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def put(ledger: Ledger, key: str, at: datetime) -> None:
    alert = Alert(key=key, kind=AlertKind.DRIFT, model="price", at=at, sentence="Something moved.")
    Outbox(ledger).put([Addressed(alert=alert, to=("pager",))])


def test_a_ledger_that_nobody_has_swept_tells_nothing(ledger: Ledger) -> None:
    assert alert_life(ledger, NOW) == AlertLife()
    ledger.append("price", EntryKind.HELD, "ann", "because")
    assert alert_life(ledger, NOW) == AlertLife()


def test_the_newest_sweep_counts(ledger: Ledger) -> None:
    for minutes in (0, 5):
        note_sweep(ledger, NOW + timedelta(minutes=minutes))
    assert alert_life(ledger, NOW).swept_at == NOW + timedelta(minutes=5)
    assert Outbox(ledger).looked_at() is None


def test_what_is_due_or_has_failed_waits_and_what_went_out_does_not(ledger: Ledger) -> None:
    outbox = Outbox(ledger)
    put(ledger, "sent", NOW - timedelta(hours=3))
    told = outbox.claim(NOW, lambda _: 10)
    assert told is not None
    outbox.sent(told, NOW)
    put(ledger, "failed", NOW - timedelta(hours=2))
    tried = outbox.claim(NOW, lambda _: 10)
    assert tried is not None
    outbox.failed(tried, "HTTP 503", NOW)
    put(ledger, "held back by the limit", NOW + timedelta(minutes=30))
    life = alert_life(ledger, NOW)
    assert (life.waiting, life.oldest_at) == (1, NOW - timedelta(hours=2))
    assert alert_life(ledger, NOW + timedelta(hours=1)).waiting == 2
