"""Serving targets, good ones and others."""

from pathlib import Path
from typing import ClassVar

from understudy.contract.release import Bundle
from understudy.contract.serving import Acknowledgement, ModelStatus, PrepareOrder, ServingOrder
from understudy.contract.serving_target import Answered
from understudy.contract.words import Capability
from understudy.hooks.places.errors import TargetIsAhead, TargetRefused, TargetUnreachable


class Place:
    """What outlives a target: a version and an epoch."""

    version: int | None = None
    epoch = 0


class Good:
    """Serve by writing down what is served."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    name = "place"

    def __init__(self, place: Place, bundles: Path) -> None:
        self.place, self.bundles = place, bundles

    def load(self, bundle: Bundle) -> None:
        if "nonsense" in (self.bundles / bundle.model / str(bundle.version) / "MLmodel").read_text():
            raise TargetRefused(self.name, "it does not load")

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        self.load(order.bundle)

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        record = order.record
        if record.epoch < self.place.epoch:
            raise TargetIsAhead(self.name, f"epoch {self.place.epoch} is served")
        self.load(record.champion)
        self.place.version, self.place.epoch = record.champion.version, record.epoch
        return Acknowledgement(
            gateway=self.name, model=record.model, epoch=record.epoch, version=record.champion.version, flip_ms=1
        )

    def status(self, model: str, timeout_s: float) -> ModelStatus:
        return ModelStatus(
            gateway=self.name, model=model, epoch=self.place.epoch, version=self.place.version, workers=()
        )

    def probe(self, model: str, request: bytes | None, timeout_s: float) -> Answered:
        if self.place.version is None:
            raise TargetUnreachable(self.name, "nothing is served")
        return Answered(version=self.place.version, epoch=self.place.epoch)

    def forget(self, model: str, timeout_s: float) -> None:
        self.place.version, self.place.epoch = None, 0


class Credulous(Good):
    """Serve whatever comes."""

    def load(self, bundle: Bundle) -> None: ...
