"""Something that is wrong, whether or not a ledger entry says so."""

from understudy.contract.declared import Fact
from understudy.contract.words import AlertKind

SWEPT = (
    AlertKind.GATEWAY_DEAD,
    AlertKind.SPEC_BROKEN,
    AlertKind.SCHEDULE_MISSED,
    AlertKind.CHAMPION_STALE,
    AlertKind.ROLLBACK_FAILED,
    AlertKind.RUN_BROKEN,
    AlertKind.REFUSED,
)
"""The kinds of conditions that sweeps look for, by themselves or in what Airflow knows."""


class Condition(Fact):
    """Say that something is wrong, and has been since somebody looked first."""

    name: str
    """The same as long as it is the same trouble; begins with the kind."""
    kind: AlertKind
    model: str
    sentence: str
    seq: int | None = None
    page: str | None = None
    """Where to look, if not at the card of that entry or at the model's page."""
    is_final: bool = False
    """Whether it happened once and for all: what ends and begins again is told again."""
