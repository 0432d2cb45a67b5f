"""Labels that reach one replica are given to all: only the one that answered a request can use its label."""

import asyncio
import hmac
import logging
from collections import Counter
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from understudy.gateway.config import GatewayConfig
from understudy.gateway.errors import RequestRefused

if TYPE_CHECKING:
    from httpx import AsyncClient

LOG = logging.getLogger(__name__)
RELAY = "x-understudy-relay"
ORIGIN = "x-understudy-relay-from"
ATTEMPTS = 3
PAUSE_S = 0.25
TIMEOUT_S = 5.0
AT_ONCE = 8


class LabelRelay:
    """Hand each batch to every peer before its sender is answered.

    Nothing is remembered for a peer that does not take a batch: its sender is told and sends it again, which changes
    nothing where it was kept. So no acknowledged label depends on the memory of a process.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._name, self._peers = config.name, config.peers
        self._token = config.token.get_secret_value() if config.token is not None else ""
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._client: AsyncClient | None = None
        self.refused: Counter[str] = Counter()
        """Batches that a peer did not take, by its address."""

    def is_for_us_alone(self, headers: Headers) -> bool:
        """Tell a batch that a peer hands over. Raise RequestRefused where the token is another."""
        given = headers.get(RELAY)
        if given is None:
            return False
        if not (self._token and hmac.compare_digest(given.encode(), self._token.encode())):
            raise RequestRefused(401, "The header X-Understudy-Relay does not hold this gateway's token.")
        return True

    def is_own(self, headers: Headers) -> bool:
        """Tell a batch that came back: a gateway's own address may be among its peers'."""
        return headers.get(ORIGIN) == self._name

    async def spread(self, model: str, body: bytes) -> int:
        """Hand a batch to all peers; return how many of them did not take it."""
        taken = await asyncio.gather(*(self._hand(peer, model, body) for peer in self._peers))
        return taken.count(False)

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()

    async def _hand(self, peer: str, model: str, body: bytes) -> bool:
        from httpx import HTTPError, InvalidURL

        headers = {RELAY: self._token, ORIGIN: self._name, "content-type": "application/json"}
        problem = ""
        async with self._slots:
            for attempt in range(ATTEMPTS):
                await asyncio.sleep(PAUSE_S * attempt)
                try:
                    answer = await self._open().post(f"{peer}/models/{model}/labels", content=body, headers=headers)
                except (HTTPError, InvalidURL) as unreachable:
                    problem = str(unreachable) or type(unreachable).__name__
                    continue
                if answer.status_code == 200:
                    return True
                problem = f"HTTP {answer.status_code}"
        self.refused[peer] += 1
        LOG.warning("%s: %s did not take a batch of labels: %s", model, peer, problem)
        return False

    def _open(self) -> "AsyncClient":
        from httpx import AsyncClient

        if self._client is None:
            # A proxy of the outside world knows no replica.
            self._client = AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        return self._client
