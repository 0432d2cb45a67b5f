"""``alerts`` in model.yaml: who is told of what."""

from pydantic import Field

from understudy.contract.declared import Declared
from understudy.contract.words import AlertKind


class AlertsSpec(Declared):
    """Say who is told of what happens to a model; what is absent is as the deployment's settings say."""

    to: tuple[str, ...] | None = None
    """Airflow connections: smtp, slackwebhook, pagerduty_events or http; nobody is told when empty."""
    kinds: tuple[AlertKind, ...] | None = None
    """Which kinds of alerts; all when absent."""
    mail_to: tuple[str, ...] | None = None
    """The addresses that connections of the type smtp write to."""
    inconclusive_after: int = Field(default=3, ge=1, le=1000)
    """After how many looks, or retrainings, in a row that could not decide people are told."""
    per_hour: int | None = Field(default=None, ge=2, le=1000)
    """The most messages to one receiver within an hour; any more are summed up in one."""
