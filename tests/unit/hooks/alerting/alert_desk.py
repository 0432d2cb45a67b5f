"""What tests of alerts have in common: connections, settings, and a retraining whose data were refused."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from understudy.contract.words import EntryKind, Outcome
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import Settings

HOUR = timedelta(hours=1)
SECRET = "token-of-the-webhook"


def now() -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=1)


def connection(patch: pytest.MonkeyPatch, conn_id: str, **fields: Any) -> None:
    patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))


def settings_of(home: Path, **more: Any) -> Settings:
    given = {"alerts_to": "hook", "alerts_mail_to": "oncall@example.com, lead@example.com", **more}
    return Settings(UNDERSTUDY_HOME=home, models_dir=home / "models", **given)


def refuse(ledger: Ledger, run: str = "run1", reason: str = "too few rows", model: str = "price") -> None:
    facts = {"outcome": Outcome.DATA_REFUSED.value, "version": None, "champion": 3, "sentence": reason}
    ledger.append(model, EntryKind.CONCLUDED, "ann", reason, run, facts)
