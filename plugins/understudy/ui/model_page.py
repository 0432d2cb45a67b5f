"""One model: what serves, what is tried, what was seen, what was decided, and what can be done about it."""

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import Field

from understudy.contract.cards.title import title_of, verdict_of
from understudy.contract.cause import MONITOR_PREFIX, RETRAIN_PREFIX
from understudy.contract.declared import Fact
from understudy.contract.reason import REASON_LIMIT
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.reigns import fit_instead, reigns
from understudy.overview.airflow_state import Airflow, read_airflow
from understudy.overview.fleet_reader import fleet_reader
from understudy.overview.glance import Glance
from understudy.ui.access import Caller, CallerDep
from understudy.ui.actions import offers
from understudy.ui.history import plots, side_by_side, timeline
from understudy.ui.progress import declaration, progress
from understudy.ui.question_reader import read_requests
from understudy.ui.refusals import NotThere
from understudy.ui.render import page
from understudy.ui.wanted import Wanted

router = APIRouter()
LONGEST_NAME = 100
SHOWN_LOOKS = 200
SHOWN_ENTRIES = 40
REMEMBERED = 1_000
OPERATIONS = ("rollback", "hold", "release", "lock", "unlock", "stop_shadow")


class Filter(Wanted):
    """Say which ledger entries are asked for."""

    kind: EntryKind | None = None
    actor: Annotated[str, Field(max_length=200)] | None = None
    run: Annotated[str, Field(max_length=300)] | None = None
    before: Annotated[int, Field(ge=1, le=2**62)] | None = None


class Told(Fact):
    """Show one ledger entry."""

    seq: int
    at: datetime
    kind: EntryKind
    title: str
    verdict: Verdict | None
    actor: str
    reason: str
    run: str | None


class Page(Fact):
    """Hold some ledger entries, newest first."""

    entries: tuple[Told, ...]
    older: int | None
    """Entries before this one are on the next page; None where there are none."""


FilterDep = Annotated[Filter, Query()]


@router.get("/models/{model}")
def show(request: Request, model: str, caller: CallerDep, wanted: FilterDep) -> HTMLResponse:
    """Show a model."""
    airflow = airflow_of(model)
    glance = known(model, caller, airflow)
    hooks = connect()
    history = hooks.deployments.history(model)
    told = reigns(history)
    denied = {denial.version: denial.reason for denial in hooks.deployments.denials(model) if denial.version}
    locked = hooks.deployments.locked(model)
    others = [kind for kind in EntryKind if kind is not EntryKind.MONITORED]
    decisions = hooks.ledger.entries(model, others, limit=REMEMBERED, newest_first=True)[::-1]
    looks = hooks.ledger.entries(model, [EntryKind.MONITORED], limit=SHOWN_LOOKS, newest_first=True)[::-1]
    spec = declaration(hooks, model)
    record = history[-1].deployment if history else None
    fit = fit_instead(told[-1].champion, history, hooks.deployments.denied(model)) if told else []
    return page(
        request,
        "model",
        one=glance,
        retrain=f"{RETRAIN_PREFIX}{model}",
        spec=spec,
        record=record,
        beside=progress(hooks, history, spec, datetime.now(timezone.utc)),
        timeline=timeline(told, denied, datetime.now(timezone.utc)),
        reigns=told[::-1],
        versions=side_by_side(decisions, told, denied, locked),
        plots=plots(looks, told, spec.monitor.drift_share if spec and spec.monitor else None),
        ledger=_page(hooks, model, wanted),
        asked=wanted,
        kinds=sorted({entry.kind for entry in (*decisions, *looks)}),
        actors=sorted({entry.actor for entry in (*decisions, *looks)}),
        offers=offers(
            glance,
            [bundle.version for bundle in fit],
            locked,
            airflow,
            caller.may_run,
            is_held=hooks.deployments.held(model) is not None,
        ),
        requests=read_requests(hooks, model, airflow, caller, spec),
        dags=[dag for dag in (f"{RETRAIN_PREFIX}{model}", f"{MONITOR_PREFIX}{model}") if airflow.has(dag)],
        caller=caller.name,
        reason_limit=REASON_LIMIT,
    )


@router.get("/api/models/{model}")
def tell(model: str, caller: CallerDep) -> Glance:
    """Give a model at a glance as JSON."""
    return known(model, caller, airflow_of(model))


@router.get("/api/models/{model}/ledger")
def tell_ledger(model: str, caller: CallerDep, wanted: FilterDep) -> Page:
    """Give a page of a model's ledger as JSON."""
    known(model, caller, airflow_of(model))
    return _page(connect(), model, wanted)


def airflow_of(model: str) -> Airflow:
    """Read what Airflow knows of a model's DAGs and of those that act on models."""
    return read_airflow((f"{RETRAIN_PREFIX}{model}", f"{MONITOR_PREFIX}{model}", *OPERATIONS))


def known(model: str, caller: Caller, airflow: Airflow) -> Glance:
    """Give a model that there is and that the caller may read.

    :raises Forbidden, NotThere: where that is not so.
    """
    caller.require(model)
    glance = fleet_reader().glance(model, airflow) if len(model) <= LONGEST_NAME else None
    if glance is None:
        raise NotThere(f"There is no model called {model[:LONGEST_NAME]!r}.")
    return glance


def _page(hooks: Hooks, model: str, wanted: Filter) -> Page:
    found = hooks.ledger.entries(
        model,
        [wanted.kind] if wanted.kind else None,
        wanted.run,
        SHOWN_ENTRIES + 1,
        newest_first=True,
        before=wanted.before,
        actor=wanted.actor,
    )
    shown = found[:SHOWN_ENTRIES]
    return Page(entries=tuple(map(_told, shown)), older=shown[-1].seq if len(found) > len(shown) else None)


def _told(entry: LedgerEntry) -> Told:
    return Told(
        seq=entry.seq,
        at=entry.at,
        kind=entry.kind,
        title=title_of(entry),
        verdict=verdict_of(entry),
        actor=entry.actor,
        reason=entry.reason,
        run=entry.run,
    )
