"""The switch: forward each request to the server that serves its model at that moment.

Run ``python -m include.examples.mlflow_serve.switch HOME [PORT]``; clients ask ``/models/<model>/invocations``.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from include.examples.mlflow_serve.state import State
from include.examples.mlflow_serve.target import EPOCH_HEADER, VERSION_HEADER

PATIENCE_S, PAUSE_S = 5.0, 0.05


def create_switch(home: Path) -> Starlette:
    """Make the application that reads what serves below ``home``."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            app.state.client = client
            yield

    async def forward(request: Request) -> Response:
        body = await request.body()
        state = State(home, request.path_params["model"])
        deadline = time.monotonic() + PATIENCE_S
        while True:
            serving = state.serving()
            if serving is None:
                return JSONResponse({"error": "no such model is served here"}, status_code=404)
            url = f"http://127.0.0.1:{serving.server.port}/{request.path_params['path']}"
            kind = {"Content-Type": request.headers.get("Content-Type", "application/json")}
            try:
                answer = await request.app.state.client.request(request.method, url, content=body, headers=kind)
            except httpx.TransportError:
                # The server was stopped just now: the next look finds the one that replaced it. Scoring changes
                # nothing, so a request may be sent twice.
                if time.monotonic() >= deadline:
                    told = {"error": f"version {serving.server.version} does not answer"}
                    return JSONResponse(told, status_code=503, headers={"Retry-After": "5"})
                await asyncio.sleep(PAUSE_S)
                continue
            headers = {VERSION_HEADER: str(serving.server.version), EPOCH_HEADER: str(serving.epoch)}
            return Response(answer.content, answer.status_code, headers, answer.headers.get("Content-Type"))

    route = Route("/models/{model}/{path:path}", forward, methods=["GET", "POST"])
    return Starlette(routes=[route], lifespan=lifespan)


if __name__ == "__main__":
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 5050
    uvicorn.run(create_switch(Path(sys.argv[1])), host="127.0.0.1", port=port, log_level="warning")
