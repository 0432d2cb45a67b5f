"""One served model with a ledger, a registry and two gateways of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.blessed import bless
from tests.integration.fake_gateway import TOKEN, FakeGateway, running
from tests.integration.trained import trained, write_model
from understudy.contract.by import By
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.release import Blessing, Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change, MlTask
from understudy.hooks.beside import end_beside
from understudy.hooks.deployments import Deployments
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.mirroring import start_mirror
from understudy.hooks.places.gateways import Gateways
from understudy.hooks.places.places import Places
from understudy.hooks.promotion import promote
from understudy.hooks.registry.registry import Registry
from understudy.hooks.rollback import rollback

TERMS = ServingTerms(task=MlTask.BINARY, serving=ServingSpec())
WHO = By(actor="ann", reason="weekly")


class Desk:
    """One model, two gateways, a ledger and a registry of their own."""

    def __init__(self, model: str, home: Path, ledger: Path, gateways: tuple[FakeGateway, ...]) -> None:
        self.model, self.home = model, home
        self.deployments = Deployments(Ledger(f"sqlite:///{ledger}"))
        self.registry = Registry(f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri(), home / "bundles")
        self.east, self.west = gateways
        self.terms = TERMS
        self.gateways: Places = Gateways((self.east.url, self.west.url), TOKEN, home / "bundles")

    def train(self, number: int) -> Bundle:
        folder = write_model(self.home / self.model / f"trained{number}", number.to_bytes(2, "big") * 500)
        return self.registry.register(trained(self.model, number, folder))

    def bless(self, challenger: Bundle) -> Blessing:
        return bless(self.deployments, challenger)

    def promote(self, blessing: Blessing, within_s: float = 60, mirror: float | None = None) -> Deployment:
        return promote(
            self.deployments,
            self.registry,
            blessing,
            by=WHO.model_copy(update={"run": blessing.challenger.run}),
            gateways=self.gateways,
            terms=self.terms,
            mirror=mirror,
            within_s=within_s,
        )

    def raise_champion(self, number: int) -> Deployment:
        return self.promote(self.bless(self.train(number)))

    def rehearse(self, challenger: Bundle, run: str = "rehearsal", within_s: float = 60) -> Deployment:
        return start_mirror(
            self.deployments,
            self.registry,
            self.gateways,
            self.terms,
            challenger,
            0.5,
            by=WHO.model_copy(update={"run": run}),
            within_s=within_s,
        )

    def end(self, run: str | None = "rehearsal", within_s: float = 60) -> Deployment | None:
        return end_beside(
            self.deployments,
            self.registry,
            self.gateways,
            self.terms,
            self.model,
            Change.MIRROR_ENDED,
            by=WHO.model_copy(update={"run": run}),
            within_s=within_s,
        )

    def served(self) -> list[tuple[int | None, int]]:
        return [(gateway.version(self.model), gateway.epoch(self.model)) for gateway in (self.east, self.west)]

    def is_confirmed(self) -> bool:
        return self.deployments.history(self.model)[-1].is_confirmed

    def rollback(
        self,
        target: int | None = None,
        *,
        run: str | None = None,
        registry: Registry | None = None,
        within_s: float = 60,
    ) -> Deployment:
        return rollback(
            self.deployments,
            registry or self.registry,
            self.model,
            target,
            by=WHO.model_copy(update={"run": run}),
            gateways=self.gateways,
            terms=self.terms,
            within_s=within_s,
        )


@contextmanager
def desk_at(home: Path, own: Path, model: str) -> Iterator[Desk]:
    """Give a model of its own in a shared registry; whatever happens, its ledger stays whole."""
    with running("east", "west") as gateways:
        made = Desk(model, home, own / "ledger.db", gateways)
        yield made
        assert made.deployments.ledger.verify().ok
