"""All places that serve a model and its terms: how a record takes effect there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import Confirmation, PrepareOrder, ServingOrder, ServingTerms
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.hooks.places.places import PREPARE_S, Places


@dataclass(frozen=True)
class Fleet:
    """Hold where a model is served, our gateways or its own target, and its terms."""

    gateways: Places
    terms: ServingTerms

    def prepare(self, bundle: Bundle, within_s: float = PREPARE_S) -> None:
        """Have a version kept warm everywhere; raise what :meth:`Places.prepare` raises."""
        self.gateways.prepare(PrepareOrder(bundle=bundle, terms=self.terms), within_s)

    def bring(
        self, deployments: Deployments, record: Deployment, actor: str, within_s: float
    ) -> tuple[Deployment, Confirmation]:
        """Send a record everywhere and confirm it if all acknowledge; return what was sent in the end.

        A newer record of the same champion is sent in its place. Raise EpochConflict where another champion serves.
        """
        while True:
            confirmation = self.gateways.apply(ServingOrder(record=record, terms=self.terms), within_s)
            if not confirmation.lagging:
                facts = {
                    "acks": [ack.model_dump(mode="json") for ack in confirmation.acks],
                    "terms": self.terms.model_dump(mode="json"),
                }
                confirm_verified(deployments, record, actor, facts)
                return record, confirmation
            newest = deployments.current(record.model)
            if newest is None or newest.epoch <= record.epoch:
                return record, confirmation
            if newest.champion_since != record.champion_since:
                raise EpochConflict(record.model, record.epoch, newest.epoch)
            record = newest

    def serve(self, deployments: Deployments, record: Deployment, actor: str, within_s: float) -> Deployment:
        """Have a record served everywhere, and see by real requests that it is.

        :raises GatewayLagging: where one does not serve it; the record stands.
        :raises EpochConflict: where somebody else moved the champion meanwhile.
        """
        brought, confirmation = self.bring(deployments, record, actor, within_s)
        version = brought.champion.version
        if confirmation.lagging:
            raise GatewayLagging(brought.model, brought.epoch, version, confirmation.lagging, confirmation.acks)
        wrong = self.gateways.probe(brought.model, version, brought.epoch)
        if wrong:
            late = {problem.gateway for problem in wrong}
            answered = zip(self.gateways.names, confirmation.acks, strict=True)
            right = [ack for url, ack in answered if url not in late]
            raise GatewayLagging(brought.model, brought.epoch, version, wrong, right)
        return brought


def fleet_of(gateways: Places | None, terms: ServingTerms | None) -> Fleet | None:
    """Join both; None for a batch model, and where nothing serves."""
    return Fleet(gateways, terms) if gateways is not None and terms is not None else None


def confirm_verified(
    deployments: Deployments, record: Deployment, actor: str, facts: Mapping[str, Any] | None = None
) -> None:
    """Record that the champion's files, which the caller has verified, can be served, or are."""
    deployments.confirm(
        record.model,
        record.epoch,
        actor,
        {"version": record.champion.version, "model_sha256": record.champion.model_sha256, **(facts or {})},
    )
