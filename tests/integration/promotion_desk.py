"""A model that is trained, blessed and promoted, with a real ledger and registry."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.blessed import bless
from tests.integration.trained import trained, write_model
from understudy.contract.by import By
from understudy.contract.release import Blessing, Bundle, Deployment
from understudy.hooks.deployments import Deployments
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.promotion import promote
from understudy.hooks.registry.registry import Registry

WHO = By(actor="ann", reason="weekly retraining")


@dataclass(frozen=True)
class Desk:
    model: str
    home: Path
    deployments: Deployments
    registry: Registry

    def train(self, number: int) -> Bundle:
        folder = write_model(self.home / self.model / f"trained{number}", number.to_bytes(2, "big") * 500)
        return self.registry.register(trained(self.model, number, folder))

    def bless(self, challenger: Bundle) -> Blessing:
        return bless(self.deployments, challenger)

    def promote(self, blessing: Blessing) -> Deployment:
        return promote(
            self.deployments, self.registry, blessing, by=WHO.model_copy(update={"run": blessing.challenger.run})
        )

    def raise_champion(self, number: int) -> Deployment:
        return self.promote(self.bless(self.train(number)))

    def kept(self, bundle: Bundle) -> Path:
        return self.home / "bundles" / self.model / str(bundle.version)

    def stored(self, bundle: Bundle) -> Path:
        with self.registry._mlflow.asking() as client:
            return Path(str(client.get_model_version(self.model, str(bundle.version)).source)[len("file://") :])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("promotion")


@pytest.fixture
def unchecked_desk(home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """Give each test a model of its own in one registry, and a ledger of its own."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    registry = Registry(f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri(), home / "bundles")
    return Desk(f"m{abs(hash(request.node.name))}", home, Deployments(ledger), registry)


@pytest.fixture
def desk(unchecked_desk: Desk) -> Iterator[Desk]:
    """Whatever happens, the ledger stays whole."""
    yield unchecked_desk
    assert unchecked_desk.deployments.ledger.verify().ok
