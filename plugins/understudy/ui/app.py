"""The cockpit's application below ``/understudy``: it reads and shows; acting is left to Airflow's own API."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import requires_authenticated
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from understudy.contract.errors import UnderstudyError
from understudy.ui import answer_page, card_page, fleet_page, model_page, report_page, runbooks_page
from understudy.ui.place import STATIC, airflow_base, own_base
from understudy.ui.refusals import Forbidden, NotThere
from understudy.ui.render import HEADERS, page

FILES = Path(__file__).parent / "static"
API = "/api/"


def create_app() -> FastAPI:
    """Build the application; every route but the style sheet and the script asks who is there."""
    app = FastAPI(
        title="Understudy",
        dependencies=[Depends(requires_authenticated())],
        # FastAPI serves these without asking the dependencies.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.mount(STATIC, StaticFiles(directory=FILES), name="static")
    for shown in (fleet_page, model_page, answer_page, card_page, report_page, runbooks_page):
        app.include_router(shown.router)
    app.middleware("http")(_guard)
    app.exception_handler(HTTPException)(_say_http)
    app.exception_handler(RequestValidationError)(_say_invalid)
    app.exception_handler(UnderstudyError)(_say)
    return app


async def _guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    # Asked before answering: a mount writes its own place into the scope.
    is_static = request.scope["path"].startswith(f"{request.scope['root_path']}{STATIC}/")
    # No name and no reason holds a NUL, and PostgreSQL takes no question with one.
    is_nonsense = "\0" in request.scope["path"] or "%00" in request.url.query
    response = _refuse(request, 404, _TOLD[404]) if is_nonsense else await answer(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if is_static:
        # What is asked for by version may be kept. A module that another one imports is asked for without.
        response.headers["Cache-Control"] = "public, max-age=3600" if request.url.query else "no-cache"
    return response


async def _say_http(request: Request, problem: HTTPException) -> Response:
    # Who is known and may not is our own Forbidden. What Airflow forbids is a login that it does not take (any more).
    status = 401 if problem.status_code == 403 else problem.status_code
    response = _refuse(request, status, _TOLD.get(status, str(problem.detail)))
    response.headers.update(problem.headers or {})
    return response


async def _say_invalid(request: Request, problem: RequestValidationError) -> Response:
    wrong = "; ".join(f"{error['loc'][-1]}: {error['msg']}" for error in problem.errors())
    return _refuse(request, 422, f"The address is not understood: {wrong}.")


async def _say(request: Request, problem: UnderstudyError) -> Response:
    statuses = {Forbidden: 403, NotThere: 404}
    return _refuse(request, statuses.get(type(problem), 503), str(problem))


def _refuse(request: Request, status: int, told: str) -> Response:
    if request.scope["path"].removeprefix(own_base(request)).startswith(API):
        return JSONResponse({"detail": told}, status_code=status)
    login = None
    if status == 401:
        login = f"{airflow_base(request)}/auth/login?{urlencode({'next': str(request.url)})}"
    return page(request, "refusal", status, title=_TITLES.get(status, "This did not work"), told=told, login=login)


_TITLES = {
    401: "Please log in",
    403: "Not for you",
    404: "There is no such page",
    405: "Nothing can be sent here",
    503: "This cannot be read now",
}
_TOLD = {
    401: "You are not logged in.",
    404: "Nothing lies at this address.",
    405: "These pages only show. What is to be done is sent to Airflow's own API.",
}

app = create_app()
