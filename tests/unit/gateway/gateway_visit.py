"""A gateway without sockets and with faked scoring processes, and a client of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from tests.unit.gateway.fake_processes import MODEL, FakeNursery, nursery, order
from understudy.gateway.app import GatewayApp
from understudy.gateway.config import GatewayConfig

TOKEN = "open sesame"
JSON = {"content-type": "application/json"}
ADMIN = {"authorization": f"Bearer {TOKEN}"}
SCORE = f"/models/{MODEL}/invocations"
INFER = f"/v2/models/{MODEL}/infer"


class Visit:
    """A gateway and a client of it."""

    def __init__(self, folder: Path, client: httpx.AsyncClient, app: GatewayApp, fakes: FakeNursery) -> None:
        self.folder, self.client, self.app, self.nursery = folder, client, app, fakes

    async def serve(self, epoch: int, champion: int, **given: Any) -> httpx.Response:
        """Send an order."""
        body = order(epoch, champion, **given).model_dump_json()
        return await self.client.put(f"/admin/models/{MODEL}/record", content=body, headers=ADMIN)

    async def score(self, body: bytes = b"{}", probe: str | None = None) -> httpx.Response:
        """Send a request to score."""
        headers = JSON if probe is None else {**JSON, "x-understudy-probe": probe}
        return await self.client.post(SCORE, content=body, headers=headers)


def visit(folder: Path, act: Callable[[Visit], Awaitable[None]], **given: Any) -> None:
    """Open a gateway, act, close it."""

    async def run() -> None:
        config = GatewayConfig(
            **{
                "name": "g",
                "state_dir": folder / "state",
                "bundles_dir": folder / "bundles",
                "token": SecretStr(TOKEN),
                "max_body_bytes": 4096,
                **given,
            }
        )
        for version in range(1, 4):
            config.bundle_dir(MODEL, version).mkdir(parents=True, exist_ok=True)
        fakes = FakeNursery()
        app = GatewayApp(config, nursery(fakes))
        await app.roster.open()
        try:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                await act(Visit(folder, client, app, fakes))
        finally:
            await app.roster.close()

    asyncio.run(run())
