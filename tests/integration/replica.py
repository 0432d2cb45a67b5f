"""A gateway with a follower, and the truth that it follows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.integration.real_gateway import MODEL, TOKEN, Running, Trained, running, until
from understudy.contract.by import By
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change, MlTask
from understudy.hooks.deployments import Deployments
from understudy.hooks.follower import Follower
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.places.gateways import Gateways

TERMS = ServingTerms(task=MlTask.BINARY, serving=ServingSpec())


class AtHand:
    """The registry as a follower needs it; the files of all versions lie at each gateway."""

    def keep(self, bundle: Bundle) -> None: ...

    def follow(self, record: Deployment) -> dict[str, int]:
        return {}

    def mark_denied(self, *_: object) -> None: ...

    def forget_all_but(self, record: Deployment) -> None: ...


class Specs:
    """The declaration."""

    def terms(self, model: str) -> tuple[ServingTerms, None]:
        return TERMS, None


@contextmanager
def replica(home: Path, name: str, trained: Trained) -> Iterator[Running]:
    bundles = home / "bundles" / MODEL
    bundles.mkdir(parents=True, exist_ok=True)
    for version, (folder, _) in trained.items():
        if not (bundles / str(version)).exists():
            os.symlink(folder, bundles / str(version))
    with running(home, name=name) as gateway:
        yield gateway


class Truth:
    """A ledger that can be taken away, and followers of it."""

    def __init__(self, folder: Path, trained: Trained) -> None:
        self._path, self._away = folder / "ledger.db", folder / "away.db"
        self.deployments = Deployments(Ledger(f"sqlite:///{self._path}"))
        self.bundles = {version: bundle for version, (_, bundle) in trained.items()}

    def promote(self, epoch: int, champion: int, previous: int | None) -> None:
        record = Deployment(
            model=MODEL,
            epoch=epoch,
            change=Change.PROMOTION,
            champion=self.bundles[champion],
            previous=self.bundles[previous] if previous else None,
        )
        self.deployments.deploy(record, epoch - 1, By(actor="ann", reason="weekly"))
        self.deployments.confirm(MODEL, epoch, "ann", {})

    def dies(self) -> None:
        self._path.rename(self._away)
        self._path.mkdir()  # it can be neither read nor written

    def returns(self) -> None:
        self._path.rmdir()
        self._away.rename(self._path)

    def follower(self, gateway: Running) -> Follower:
        hooks: Any = SimpleNamespace(deployments=self.deployments, registry=AtHand(), gateways=None)
        specs: Any = Specs()
        return Follower(hooks, Gateways((gateway.url,), TOKEN, gateway.home / "bundles"), specs)

    def brings(self, gateway: Running, version: int, epoch: int) -> None:
        """Follow until the gateway answers with a version under a record."""
        follower = self.follower(gateway)
        until(lambda: follower.step().problem is None and is_at(gateway, version, epoch))


def is_at(gateway: Running, version: int, epoch: int) -> bool:
    status = gateway.status()
    return (status.version, status.epoch) == (version, epoch)
