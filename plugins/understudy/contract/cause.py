"""Why a model is retrained: what a look says when it asks for it, and what the run makes of that."""

from datetime import datetime

from pydantic import Field

from understudy.contract.declared import Fact
from understudy.contract.words import Trigger

RETRAIN_PREFIX = "retrain__"
MONITOR_PREFIX = "monitor__"


def retrain_uri(model: str) -> str:
    """Name the asset whose events ask for a retraining of a model."""
    return f"understudy://{model}/retrain"


class Ask(Fact):
    """Ask for a retraining: the payload of a look's event."""

    reasons: tuple[Trigger, ...] = Field(min_length=1)
    sentence: str
    ledger_seq: int
    """The ledger entry that says what the look saw."""
    ledger_hash: str
    run_id: str
    """The look's run in Airflow."""
    as_of: datetime | None = None
    """The time that the look was told to pretend; the retraining pretends the same."""


class Cause(Fact):
    """Say why a run retrains a model."""

    reasons: tuple[Trigger, ...] = Field(min_length=1)
    sentence: str
    asks: tuple[Ask, ...] = ()
    """The looks that asked for it, oldest first."""
    events: int = 0
    """How many asset events the run answers at once."""
