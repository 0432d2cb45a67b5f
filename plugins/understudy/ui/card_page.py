"""A decision's card, and the ways to a model from its DAG and its run."""

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from understudy.contract.airflow_run import AirflowRun, airflow_run_in
from understudy.contract.cards.card import Card
from understudy.contract.cards.places import Pages, place_of
from understudy.contract.cause import MONITOR_PREFIX, RETRAIN_PREFIX
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks import cards
from understudy.hooks.connect import connect
from understudy.ui.access import Caller, CallerDep
from understudy.ui.model_page import airflow_of, known
from understudy.ui.place import airflow_base, own_base
from understudy.ui.refusals import NotThere
from understudy.ui.render import page
from understudy.workspace import key_in, run_key

router = APIRouter()
LARGEST = 2**62
ACTED = (
    EntryKind.DEPLOYED,
    EntryKind.HELD,
    EntryKind.RELEASED,
    EntryKind.LOCKED,
    EntryKind.UNLOCKED,
    EntryKind.DRILLED,
)
"""What a run decides that belongs to no model's own DAG."""


@router.get("/models/{model}/cards/{seq}")
def show(request: Request, model: str, seq: int, caller: CallerDep) -> HTMLResponse:
    """Show a decision."""
    card = readable_card(model, seq, caller)
    mlflow = connect().settings.mlflow_pages.rstrip("/") or None
    pages = Pages(own=own_base(request), airflow=airflow_base(request), mlflow=mlflow)
    places = [place_of(link, pages) for link in card.links]
    return page(request, "card", card=card, places=places)


@router.get("/api/models/{model}/cards/{seq}")
def tell(model: str, seq: int, caller: CallerDep) -> Card:
    """Give a decision as JSON."""
    return readable_card(model, seq, caller)


@router.get("/dags/{dag_id}")
def of_dag(request: Request, dag_id: str) -> RedirectResponse:
    """Go to the model that a DAG belongs to; to all of them from a DAG that belongs to none."""
    model = _model_of(dag_id)
    return RedirectResponse(
        f"{own_base(request)}/models/{quote(model, safe='')}" if model else f"{own_base(request)}/", 303
    )


@router.get("/dags/{dag_id}/runs/{run_id:path}")
def of_run(request: Request, dag_id: str, run_id: str, caller: CallerDep) -> RedirectResponse:
    """Go to what a run decided: to all of a model's own run, to the card of one that acted on a model."""
    model = _model_of(dag_id)
    if model is None:
        entry = _decided_by(AirflowRun(dag_id=dag_id, run_id=run_id), caller)
        return RedirectResponse(f"{own_base(request)}/models/{quote(entry.model, safe='')}/cards/{entry.seq}", 303)
    address = f"{own_base(request)}/models/{quote(model, safe='')}?{urlencode({'run': key_in(dag_id, run_id)})}#ledger"
    return RedirectResponse(address, 303)


def readable_card(model: str, seq: int, caller: CallerDep) -> Card:
    """Make the card of a decision that the caller may read. Raise Forbidden or NotThere for others."""
    known(model, caller, airflow_of(model))
    missing = NotThere(f"{model} has no decision {seq}.")
    if not 1 <= seq <= LARGEST:
        raise missing
    try:
        card = cards.card(connect().ledger, seq)
    except cards.UnknownDecision as unknown:
        raise missing from unknown
    # Another model's decision is not shown under this one's name: the right to read was asked for this one.
    if card.model != model:
        raise missing
    return card


def _decided_by(run: AirflowRun, caller: Caller) -> LedgerEntry:
    """Find the decision of a run that belongs to no model's own DAG. Raise NotThere where there is none to be seen."""
    written = connect().ledger.entries(kinds=ACTED, run=run_key(run.run_id))
    decisions = [entry for entry in written if airflow_run_in(entry.facts) == run]
    allowed = caller.readable({entry.model for entry in decisions})
    for entry in decisions:
        if entry.model in allowed:
            return entry
    raise NotThere(
        f"No decision of this run of {run.dag_id} is in the ledger: it still runs, only said what it would do, was "
        "refused, or is about no model that you may see. Its log in Airflow says which."
    )


def _model_of(dag_id: str) -> str | None:
    for prefix in (RETRAIN_PREFIX, MONITOR_PREFIX):
        if dag_id.startswith(prefix):
            return dag_id.removeprefix(prefix)
    return None
