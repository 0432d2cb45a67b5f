"""Reach the outside world as this deployment's settings say; each system on first use, as each is slow to import."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from understudy.settings import Settings, settings

if TYPE_CHECKING:
    from understudy.contract.serving import ServingTerms
    from understudy.contract.serving_target import ServingTarget
    from understudy.hooks.alerting.alerts import Alerts
    from understudy.hooks.data.versions import DataVersions
    from understudy.hooks.deployments import Deployments
    from understudy.hooks.ledger.ledger import Ledger
    from understudy.hooks.places.gateways import Gateways
    from understudy.hooks.places.places import Places
    from understudy.hooks.registry.registry import Registry


@dataclass(frozen=True)
class Hooks:
    """Hold one hook for each outside system of a deployment."""

    settings: Settings

    @cached_property
    def ledger(self) -> "Ledger":
        """What was decided, by whom and why."""
        from understudy.hooks.ledger.ledger import Ledger

        return Ledger(self.settings.ledger)

    @cached_property
    def deployments(self) -> "Deployments":
        """The truth about what serves."""
        from understudy.hooks.deployments import Deployments

        return Deployments(self.ledger)

    @cached_property
    def alerts(self) -> "Alerts":
        """What people are told, and to whom."""
        from understudy.hooks.alerting.alerts import Alerts

        return Alerts(self.ledger, self.settings)

    @cached_property
    def registry(self) -> "Registry":
        """The models themselves."""
        from understudy.hooks.registry.registry import Registry
        from understudy.signatures import Signatures

        return Registry(
            self.settings.registry,
            self.settings.artifacts,
            signing_key=self.settings.signing_key_file,
            signatures=Signatures.by(self.settings.verify_keys),
        )

    @cached_property
    def gateways(self) -> "Gateways | None":
        """All replicas of the gateway; None where nothing is served."""
        from understudy.hooks.places.gateways import Gateways

        urls = self.settings.gateway_urls
        return Gateways(urls, self.settings.gateway_secret, self.settings.home / "bundles") if urls else None

    def places(self, terms: "ServingTerms") -> "Places | None":
        """Give where a model is served: by its own target, else by our gateways; None where neither is known.

        :raises TargetUnusable, ConnectionUnknown: where its target cannot be built.
        """
        serving = terms.serving
        if serving.target is None:
            return self.gateways
        from understudy.contract.serving_target import TargetSetup
        from understudy.contract.target_class import target_class
        from understudy.hooks.places.places import Places

        bundles = self.settings.home / "bundles"
        credentials = None
        if serving.connection is not None:
            from understudy.hooks.credentials import credentials_of

            credentials = credentials_of(serving.connection)
        setup = TargetSetup(options=serving.options, bundles=bundles, credentials=credentials)
        return Places([target_class(serving.target)(setup)], bundles)

    def targets(self, terms: "ServingTerms") -> "tuple[ServingTarget, ...]":
        """Give each place where a model is served, built anew; none where no gateway is known."""
        places = self.places(terms)
        return places.targets if places else ()

    def served_now(self, model: str) -> "tuple[Places | None, ServingTerms | None]":
        """Give where a model is served now, whatever its declaration says meanwhile, and under which terms."""
        from understudy.hooks.places.serving_terms import terms_now

        terms = terms_now(self.deployments, self.settings.models_dir, model)
        return (self.places(terms) if terms else self.gateways), terms

    @cached_property
    def data_versions(self) -> "DataVersions":
        """The windows of data that models were trained on."""
        from understudy.hooks.data.versions import DataVersions

        home = self.settings.home
        return DataVersions(
            self.settings.data_registry or str(home / "data-versions.git"),
            self.settings.data_store or str(home / "data-store"),
        )


def connect() -> Hooks:
    """Give the hooks of this process's settings."""
    return Hooks(settings())
