"""One of our gateways as a place that serves models."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

from understudy.contract.release import Bundle
from understudy.contract.serving import (
    Acknowledgement,
    ModelStatus,
    PrepareOrder,
    RehearsalQuery,
    RehearsalReport,
    ServingOrder,
)
from understudy.contract.serving_target import Answered
from understudy.contract.words import Capability
from understudy.hooks.places.gateway_client import GatewayClient
from understudy.hooks.places.gateway_errors import FilesMissingAtGateway, GatewayRefused, GatewayUnreachable
from understudy.hooks.registry.bundle_files import digest_of

VERSION_HEADER = "X-Understudy-Version"
EPOCH_HEADER = "X-Understudy-Epoch"
BUSY = {429, 503, 504}
"""An overloaded gateway serves the right version as well; it only has no time to say so."""
Answer = TypeVar("Answer")


class GatewayTarget:
    """Steer a gateway, and send it the files that it lacks.

    :param bundles: where verified copies of the versions lie.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.REHEARSAL})

    def __init__(self, client: GatewayClient, bundles: Callable[[], Path]) -> None:
        self._client = client
        self._bundles = bundles
        self.name = client.url

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        """Have a version loaded and kept warm."""
        self._with_files((order.bundle,), timeout_s, lambda left_s: self._client.prepare(order, left_s))

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        """Have a record served."""
        record = order.record
        named = (record.champion, record.previous, record.mirror, record.canary)
        bundles = tuple(bundle for bundle in named if bundle is not None)
        return self._with_files(bundles, timeout_s, lambda left_s: self._client.serve(order, left_s))

    def status(self, model: str, timeout_s: float) -> ModelStatus:
        """Ask what serves."""
        return self._client.status(model, timeout_s)

    def forget(self, model: str, timeout_s: float) -> None:
        """Have a model served no more; its log and its files stay."""
        self._client.forget(model, timeout_s, purge=False)

    def rehearsal(self, model: str, query: RehearsalQuery, timeout_s: float) -> RehearsalReport:
        """Ask what the prediction log says of two versions."""
        return self._client.rehearsal(model, query, timeout_s)

    def probe(self, model: str, request: bytes | None, timeout_s: float) -> Answered:
        """Send a request that counts as nobody's."""
        path = f"/models/{model}/{'version' if request is None else 'invocations'}"
        answer = self._client.score(path, request, timeout_s)
        told = f"a probe request was answered with HTTP {answer.status_code}"
        if answer.status_code in BUSY:
            raise GatewayUnreachable(self.name, told)
        if answer.status_code >= 300:
            raise GatewayRefused(self.name, told)
        version, epoch = answer.headers.get(VERSION_HEADER, ""), answer.headers.get(EPOCH_HEADER, "")
        if not (version.isdigit() and epoch.isdigit()):
            raise GatewayRefused(self.name, "the answer to a probe request does not say which version it is of")
        return Answered(version=int(version), epoch=int(epoch))

    def _with_files(self, bundles: tuple[Bundle, ...], timeout_s: float, ask: Callable[[float], Answer]) -> Answer:
        """Ask; where files are missing, send them and ask again, each version once."""
        deadline = time.monotonic() + timeout_s
        sent: set[int] = set()
        while True:
            try:
                return ask(max(deadline - time.monotonic(), 0.1))
            except FilesMissingAtGateway as missing:
                bundle = next((b for b in bundles if b.version == missing.version and b.version not in sent), None)
                if bundle is None:
                    raise
                sent.add(bundle.version)
                folder = self._bundles() / bundle.model / str(bundle.version)
                if digest_of(folder) != bundle.model_sha256:
                    problem = "no intact copy is here to send"
                    raise FilesMissingAtGateway(self.name, bundle.model, bundle.version, problem) from missing
                self._client.upload(bundle, folder)
