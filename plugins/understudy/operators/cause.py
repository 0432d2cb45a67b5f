"""Read from a run why it is there: a person, the schedule, a backfill, or events on the model's asset."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from understudy.contract.cause import Ask, Cause
from understudy.contract.words import Trigger
from understudy.hooks.rollback import REASON_LIMIT

if TYPE_CHECKING:
    from airflow.sdk import Context

OTHERS = {"scheduled": Trigger.SCHEDULE, "backfill": Trigger.BACKFILL}
FROM_REST = "from_rest_api"
"""What Airflow adds to events that came through its REST API: nobody there can pass for a look."""


def kind_of_run(context: "Context") -> str:
    """Name Airflow's type of the run: ``manual``, ``scheduled``, ``backfill`` or ``asset_triggered``."""
    run_type: Any = context["dag_run"].run_type
    return str(getattr(run_type, "value", run_type))


def cause_of(context: "Context") -> Cause:
    """Say why a run is there; many events that became one run are told together, with the newest one's sentence."""
    written = str(dict(context.get("params") or {}).get("reason") or "")
    events = _events(context)
    kind = kind_of_run(context)
    if not events:
        told = written or f"{kind} run"
        return Cause(reasons=(OTHERS.get(kind, Trigger.MANUAL),), sentence=told[:REASON_LIMIT])
    asks = tuple(ask for event in events if (ask := ask_in(event)) is not None)
    reasons = [reason for ask in asks for reason in ask.reasons]
    if len(asks) < len(events):
        reasons.append(Trigger.EXTERNAL)
    told = asks[-1].sentence if asks else _told_outside(events[-1])
    more = f" (and {len(events) - 1} more events)" if len(events) > 1 else ""
    named = tuple(dict.fromkeys(reasons))
    sentence = f"{', '.join(named)}: {told}"[: REASON_LIMIT - len(more)] + more
    return Cause(reasons=named, sentence=sentence, asks=asks, events=len(events))


def asked_moment(context: "Context") -> datetime | None:
    """Give the time that the newest look pretended, where the events that started a run name one."""
    moments = [ask.as_of for event in _events(context) if (ask := ask_in(event)) is not None]
    return moments[-1] if moments else None


def ask_in(event: Any) -> Ask | None:
    """Read what a look asked for; None for anybody else's event."""
    extra = event.extra or {}
    if FROM_REST in extra:
        return None
    try:
        return Ask.model_validate(extra)
    except ValidationError:
        return None


def _told_outside(event: Any) -> str:
    reason = (event.extra or {}).get("reason")
    who = f"the DAG {event.source_dag_id}" if event.source_dag_id else "another system"
    told = " ".join(reason.split()) if isinstance(reason, str) else ""
    return f"{who} asks for it" + (f" ({told})" if told else "")


def _events(context: "Context") -> list[Any]:
    """List the run's events, oldest first; one that went by an alias is the same event."""
    found: Any = getattr(context["dag_run"], "consumed_asset_events", None)
    return sorted(found, key=lambda event: event.timestamp) if isinstance(found, list) else []
