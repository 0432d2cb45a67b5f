"""The gateway as one ASGI application."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from understudy.gateway.admin_answers import problem
from understudy.gateway.admin_routes import AdminRoutes
from understudy.gateway.config import GatewayConfig
from understudy.gateway.exchange import Wire
from understudy.gateway.places import Place
from understudy.gateway.public_routes import PublicRoutes, no
from understudy.gateway.request_body import Receive, Scope, Send
from understudy.gateway.roster import Roster
from understudy.gateway.scoring_route import ScoringRoute

LOG = logging.getLogger(__name__)
SENTENCES = {
    404: "There is nothing at this path.",
    405: "This path does not take this method.",
}
BROKEN = "The gateway stumbled over this request; its own log says how."


class GatewayApp:
    """Take requests to score by the shortest way, and everything else by Starlette's."""

    def __init__(self, config: GatewayConfig, place: Place) -> None:
        self.roster = Roster(config, place)
        self._scoring = ScoringRoute(self.roster)
        self._rest = Starlette(
            routes=[*PublicRoutes(self.roster).routes(), *AdminRoutes(self.roster).routes()],
            exception_handlers={HTTPException: _refused, Exception: _broken},
            lifespan=self._lifespan,
        )
        # A redirect would let a client repeat its request elsewhere, without its body.
        self._rest.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            parts = scope["path"].split("/")
            if len(parts) == 4 and parts[3] == "invocations" and parts[1] == "models":
                await self._scoring.score(scope, receive, send, parts[2], is_v2=False)
                return
            if len(parts) == 7 and parts[6] == "infer" and parts[1:3] == ["v2", "models"] and parts[4] == "versions":
                await self._scoring.score(scope, receive, send, parts[3], is_v2=True, version=parts[5])
                return
            if len(parts) == 5 and parts[4] == "infer" and parts[1:3] == ["v2", "models"]:
                await self._scoring.score(scope, receive, send, parts[3], is_v2=True)
                return
        await self._rest(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self.roster.open()
        try:
            yield
        finally:
            await self.roster.close()


async def _refused(request: Request, refused: Exception) -> Response:
    status = refused.status_code if isinstance(refused, HTTPException) else 500
    headers = refused.headers if isinstance(refused, HTTPException) else None
    answer = _shaped(request, status, SENTENCES.get(status, "The request was refused."))
    answer.headers.update(headers or {})
    return answer


async def _broken(request: Request, _broken: Exception) -> Response:
    return _shaped(request, 500, BROKEN)


def _shaped(request: Request, status: int, sentence: str) -> Response:
    path = request.url.path
    if path.startswith("/admin/"):
        return problem(status, sentence)
    return no(Wire.V2_JSON if path.startswith("/v2") else Wire.MLFLOW_JSON, status, sentence)
