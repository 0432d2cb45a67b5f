"""The fleet: every model in a table, and the same as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from understudy.overview.airflow_state import read_airflow
from understudy.overview.fleet_reader import fleet_reader
from understudy.overview.glance import Health
from understudy.ui.access import Caller, CallerDep
from understudy.ui.fleet import Asked, Fleet, Sort, fleet
from understudy.ui.fleet_progress import trials_asked, with_progress
from understudy.ui.render import page

router = APIRouter()


AskedDep = Annotated[Asked, Query()]


@router.get("/")
def show(request: Request, caller: CallerDep, wanted: AskedDep) -> HTMLResponse:
    """Show every model that the caller may read."""
    return page(request, "fleet", fleet=_read(caller, wanted), asked=wanted, sorts=list(Sort), healths=list(Health))


@router.get("/api/models")
def tell(caller: CallerDep, wanted: AskedDep) -> Fleet:
    """Give the same as JSON."""
    return _read(caller, wanted)


def _read(caller: Caller, wanted: Asked) -> Fleet:
    glances = fleet_reader().glances(read_airflow())
    readable = caller.readable({one.model for one in glances})
    found = fleet([one for one in glances if one.model in readable], wanted)
    return found.model_copy(update={"models": with_progress(found.models, trials_asked())})
