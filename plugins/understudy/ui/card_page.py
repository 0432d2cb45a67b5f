"""A decision's card, and the ways to a model from its DAG and its run."""

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from understudy.contract.card import Card
from understudy.contract.card_links import Link
from understudy.contract.cause import MONITOR_PREFIX, RETRAIN_PREFIX
from understudy.contract.declared import Fact
from understudy.contract.words import LinkKind
from understudy.hooks import cards
from understudy.hooks.connect import connect
from understudy.ui.access import CallerDep
from understudy.ui.model_page import airflow_of, known
from understudy.ui.place import airflow_base, own_base
from understudy.ui.refusals import NotThere
from understudy.ui.render import page
from understudy.workspace import run_key

router = APIRouter()
LARGEST = 2**62


class Place(Fact):
    """Say where something can be read; no address where only a name is known."""

    title: str
    name: str
    address: str | None = None
    is_in_airflow: bool = False


@router.get("/models/{model}/cards/{seq}")
def show(request: Request, model: str, seq: int, caller: CallerDep) -> HTMLResponse:
    """Show a decision."""
    card = readable_card(model, seq, caller)
    places = [_place(link, own_base(request), airflow_base(request)) for link in card.links]
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
def of_run(request: Request, dag_id: str, run_id: str) -> RedirectResponse:
    """Go to what a run decided."""
    model = _model_of(dag_id)
    if model is None:
        return RedirectResponse(f"{own_base(request)}/", 303)
    own = f"look__{run_id}" if dag_id.startswith(MONITOR_PREFIX) else run_id
    address = f"{own_base(request)}/models/{quote(model, safe='')}?{urlencode({'run': run_key(own)})}#ledger"
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


def _model_of(dag_id: str) -> str | None:
    for prefix in (RETRAIN_PREFIX, MONITOR_PREFIX):
        if dag_id.startswith(prefix):
            return dag_id.removeprefix(prefix)
    return None


def _place(link: Link, own: str, airflow: str) -> Place:
    titles = {
        LinkKind.DAG_RUN: "Run in Airflow",
        LinkKind.REPORT: "Report",
        LinkKind.LOOK_REPORT: "Report of the look",
        LinkKind.MODEL_VERSION: "Version in MLflow",
        LinkKind.DATA_VERSION: "Data version",
        LinkKind.RUN: "Files of the run",
    }
    title = titles[link.kind]
    if link.kind is LinkKind.DAG_RUN:
        dag_id, _, run_id = link.name.partition("/")
        address = f"{airflow}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
        return Place(title=title, name=run_id, address=address, is_in_airflow=True)
    if link.kind is LinkKind.LOOK_REPORT:
        model, seq, part = link.name.split("/")
        return Place(title=title, name=part, address=f"{own}/models/{quote(model, safe='')}/looks/{seq}/{part}")
    if link.kind in {LinkKind.REPORT, LinkKind.MODEL_VERSION}:
        model, _, version = link.name.rpartition("/")
        report = f"{own}/models/{quote(model, safe='')}/versions/{version}/report"
        shown = report if link.kind is LinkKind.REPORT else _in_mlflow(model, version)
        return Place(title=title, name=f"version {version}", address=shown)
    return Place(title=title, name=link.name)


def _in_mlflow(model: str, version: str) -> str | None:
    """Give a version's page where people can reach MLflow."""
    pages = connect().settings.mlflow_pages.rstrip("/")
    if not pages:
        return None
    return f"{pages}/#/models/{quote(model, safe='')}/versions/{quote(version, safe='')}"
