"""Retrainings and looks that did not begin when they should have: late, missed, or broken before they said a word."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.airflow_run import airflow_run_in
from understudy.contract.cause import MONITOR_PREFIX, RETRAIN_PREFIX
from understudy.contract.cut_off import is_cut_off
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import Fact, format_duration
from understudy.contract.moment import moment
from understudy.contract.release import LedgerEntry
from understudy.contract.retrainings import KINDS
from understudy.contract.run_time import LONGEST_LOOK, longest_run
from understudy.contract.words import AlertKind, EntryKind
from understudy.hooks.alerting.condition import Condition
from understudy.hooks.alerting.life import alert_life
from understudy.hooks.alerting.pages import run_page
from understudy.hooks.conditions.known_runs import FAILED, RUNNING, KnownRun, KnownRuns
from understudy.hooks.connect import Hooks
from understudy.workspace import key_in

if TYPE_CHECKING:
    from croniter import croniter


SWEEP_TAKES = timedelta(minutes=15)
"""How long a sweep may take, and so how long before its end what it has not seen may have happened."""

OLD_NEWS = timedelta(days=7)
"""What failed longer ago, while nobody swept, is told by its DAG's newest run alone."""


class Clockwork(Fact):
    """Say what has to begin by which clock, and when it last did."""

    model: str
    what: str
    dag_id: str
    schedule: str
    zone: str
    last: datetime
    seen: datetime
    """What ended before this was seen by an earlier sweep."""

    def slot(self, before: datetime, since: datetime | None = None) -> datetime | None:
        """Give the newest time at which it was due and since when nothing was heard of it; None where there is none."""
        slot: datetime = self._from(before).get_prev(datetime)
        return slot.astimezone(timezone.utc) if max(self.last, since or self.last) < slot else None

    def first(self) -> datetime:
        """Give the time at which it was due first since it was last heard of."""
        slot: datetime = self._from(self.last).get_next(datetime)
        return slot.astimezone(timezone.utc)

    def _from(self, at: datetime) -> "croniter":
        from zoneinfo import ZoneInfo

        from croniter import croniter

        return croniter(self.schedule, at.astimezone(ZoneInfo(self.zone)))

    def missed(self, slot: datetime, why: str) -> Condition:
        """Tell that it did not begin."""
        return Condition(
            name=f"{AlertKind.SCHEDULE_MISSED}/{self.model}/{self.what}",
            kind=AlertKind.SCHEDULE_MISSED,
            model=self.model,
            sentence=f"{self.model}: a {self.what} was due at {moment(slot)} and {why}",
        )

    def broken(self, run: KnownRun, key: str) -> Condition:
        """Tell that it began, and that Airflow failed it before it wrote a word."""
        return Condition(
            # As of a run that does say how it ended, so that neither is told after the other.
            name=f"{AlertKind.RUN_BROKEN}/{self.model}/{key}",
            kind=AlertKind.RUN_BROKEN,
            model=self.model,
            sentence=f"{self.model}: the {self.what} {run.run_id} of {self.dag_id} failed before it could say why",
            page=run_page(self.dag_id, run.run_id),
            is_final=True,
        )


def missed_schedules(
    hooks: Hooks, specs: Iterable[tuple[ModelSpec, Path]], now: datetime, runs: KnownRuns
) -> Iterable[Condition]:
    """Find what was due and has not begun; Airflow is asked about what is due alone."""
    begun, ended, looked, served = (
        {entry.model: entry for entry in hooks.ledger.newest(kind)}
        for kind in (EntryKind.TRIGGERED, EntryKind.CONCLUDED, EntryKind.MONITORED, EntryKind.DEPLOYED)
    )
    # A dead run is concluded when it is found dead: what was due meanwhile was missed all the same.
    ended = {model: entry for model, entry in ended.items() if not is_cut_off(entry)}
    seen = max((alert_life(hooks.ledger, now).swept_at or now) - SWEEP_TAKES, now - OLD_NEWS)
    for spec, path in specs:
        model, known_since = spec.model, datetime.fromtimestamp(path.stat().st_mtime, tz=timezone.utc)
        if spec.retrain.schedule:
            # One retraining at a time: what was due while another was under way was not missed.
            retraining = Clockwork(
                model=model,
                what="retraining",
                dag_id=f"{RETRAIN_PREFIX}{model}",
                schedule=spec.retrain.schedule,
                zone=spec.retrain.timezone,
                seen=seen,
                last=_newest(known_since, begun.get(model), ended.get(model)),
            )
            yield from _retraining(hooks, retraining, spec, begun.get(model), now, runs)
            yield from _broken(hooks, retraining, now, runs)
        if spec.monitor is not None and model in served:
            # Each change of what serves is looked at from the next slot on.
            look = Clockwork(
                model=model,
                what="look",
                dag_id=f"{MONITOR_PREFIX}{model}",
                schedule=spec.monitor.schedule,
                zone=spec.monitor.timezone,
                seen=seen,
                last=_newest(known_since, served[model], looked.get(model)),
            )
            yield from _look(hooks, look, now, runs)
            yield from _broken(hooks, look, now, runs)


def _retraining(  # noqa: PLR0917 - what is known of one model
    hooks: Hooks, due: Clockwork, spec: ModelSpec, begun: LedgerEntry | None, now: datetime, runs: KnownRuns
) -> Iterable[Condition]:
    heard_at = _under_way_since(hooks, begun, runs) if begun and due.slot(now) else None
    if begun is None or heard_at is None:
        yield from _not_begun(hooks, due, now, runs)
        return
    slot, over_by = due.slot(now - hooks.settings.retrain_within), heard_at + longest_run(spec)
    if slot is not None and now > over_by:
        told = (
            f"waits for the run {begun.facts['run_id']}, which had to be over by {moment(over_by)}; is its DAG paused?"
        )
        yield due.missed(slot, told)


def _look(hooks: Hooks, due: Clockwork, now: datetime, runs: KnownRuns) -> Iterable[Condition]:
    slot = due.slot(now - hooks.settings.retrain_within)
    under_way = runs.newest(due.dag_id, now, RUNNING) if slot else None
    if under_way is not None and under_way.begun_at is not None:
        # One look at a time: what became due since it began waits for it, and what it is itself is only late.
        waiting = due.slot(now - hooks.settings.retrain_within, under_way.begun_at)
        if waiting is not None:
            since = f"which runs since {moment(under_way.begun_at)}; does it hang, or is its DAG paused?"
            yield due.missed(waiting, f"waits for the look {under_way.run_id}, {since}")
    # A look that a person began belongs to no slot: it is known that it runs, but not since when.
    elif slot is None or now - due.first() > LONGEST_LOOK or not runs.is_any_running(due.dag_id):
        yield from _not_begun(hooks, due, now, runs)


def _not_begun(hooks: Hooks, due: Clockwork, now: datetime, runs: KnownRuns) -> Iterable[Condition]:
    """Tell what Airflow knows of the run that was due: it broke, it waits, or there is none."""
    newest = runs.newest(due.dag_id, now) if due.slot(now) else None
    if newest is not None and newest.ended_at is not None and newest.ended_at > due.last:
        if newest.state == FAILED and newest.ended_at < due.seen:
            yield from _said_nothing(hooks, due, newest)
        due = due.model_copy(update={"last": newest.ended_at})
    grace = hooks.settings.retrain_within
    slot = due.slot(now - grace)
    if slot is None:
        return
    why = "is its DAG paused, or the scheduler down?"
    if newest is not None and newest.ended_at is None:
        why = f"its run {newest.run_id} is there and waits: is its DAG paused, or has no worker room for it?"
    yield due.missed(slot, f"has not begun within {format_duration(grace)}; {why}")


def _broken(hooks: Hooks, due: Clockwork, now: datetime, runs: KnownRuns) -> Iterable[Condition]:
    """Tell of each run that failed since the last sweep, though another one may have gone well after it."""
    if due.last < due.seen and due.slot(now) is None:
        return  # nothing was due since
    before: datetime | None = now
    while before is not None and (failed := runs.newest(due.dag_id, before, FAILED)) is not None:
        if failed.ended_at is None or failed.ended_at < due.seen:
            return
        yield from _said_nothing(hooks, due, failed)
        before = failed.due_at


def _said_nothing(hooks: Hooks, due: Clockwork, failed: KnownRun) -> Iterable[Condition]:
    key = key_in(due.dag_id, failed.run_id)
    if not hooks.ledger.entries(due.model, KINDS, run=key, limit=1):
        yield due.broken(failed, key)


def _under_way_since(hooks: Hooks, begun: LedgerEntry, runs: KnownRuns) -> datetime | None:
    """Say when a retraining that Airflow still runs was last heard of; None where it is over."""
    run = airflow_run_in(begun.facts)
    if run is None or runs.state(run.dag_id, run.run_id) != RUNNING:
        return None
    # A run that was cleared began long ago, and does something again.
    heard = hooks.ledger.entries(begun.model, run=begun.run, limit=1, newest_first=True)
    return max((entry.at for entry in heard), default=begun.at)


def _newest(since: datetime, *heard: LedgerEntry | None) -> datetime:
    return max((since, *(entry.at for entry in heard if entry)))
