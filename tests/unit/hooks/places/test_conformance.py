"""The check of serving targets: a good one passes, and each way to break a rule is found."""

from pathlib import Path

import pytest

from tests.unit.hooks.places.targets import Credulous, Good, Place
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.release import Bundle
from understudy.contract.serving import Acknowledgement, ModelStatus, PrepareOrder, ServingOrder, ServingTerms
from understudy.contract.serving_target import Answered
from understudy.contract.words import MlTask
from understudy.hooks.places.conformance import CHECK_MODEL, check_target
from understudy.hooks.places.errors import TargetIsAhead, TargetRefused

TERMS = ServingTerms(task=MlTask.BINARY, serving=ServingSpec())


class Eager(Good):
    """Serve what should only be prepared."""

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        super().prepare(order, timeout_s)
        self.place.version = order.bundle.version


class Careless(Good):
    """Take an older record."""

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        self.place.epoch = 0
        return super().serve(order, timeout_s)


class Hasty(Good):
    """Acknowledge before the change has reached the callers."""

    def probe(self, model: str, request: bytes | None, timeout_s: float) -> Answered:
        return Answered(version=1, epoch=1)


class Clinging(Good):
    """Go on serving what was forgotten."""

    def forget(self, model: str, timeout_s: float) -> None:
        if self.place.epoch < 2:
            super().forget(model, timeout_s)


class Grumpy(Good):
    """Serve no record twice."""

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        if order.record.epoch == self.place.epoch:
            raise TargetRefused(self.name, "you said that already")
        return super().serve(order, timeout_s)


class Impatient(Good):
    """Take over at once where something serves already."""

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        super().prepare(order, timeout_s)
        if self.place.version is not None:
            self.place.version = order.bundle.version


class Early(Good):
    """Answer before anything was promoted."""

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        super().prepare(order, timeout_s)
        self.place.version = self.place.version or order.bundle.version


class Mumbling(Good):
    """Name another version than the one that answered."""

    def probe(self, model: str, request: bytes | None, timeout_s: float) -> Answered:
        answered = super().probe(model, request, timeout_s)
        return answered.model_copy(update={"version": answered.version + 1})


class Trusting(Good):
    """Look at a version when it is prepared, and no more when it is to serve."""

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        if order.record.epoch == 3:
            self.place.version, self.place.epoch = order.record.champion.version, 3
            return Acknowledgement(gateway=self.name, model=order.record.model, epoch=3, version=3, flip_ms=1)
        return super().serve(order, timeout_s)


class Boastful(Good):
    """Acknowledge another version than the one that was ordered."""

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        return super().serve(order, timeout_s).model_copy(update={"version": order.record.champion.version + 1})


class Forgetful(Good):
    """Forget the record's epoch."""

    def status(self, model: str, timeout_s: float) -> ModelStatus:
        return super().status(model, timeout_s).model_copy(update={"epoch": 0})


class Counting(Good):
    """Count a repeated record as a new one."""

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        is_repeated = order.record.epoch == self.place.epoch
        acknowledged = super().serve(order, timeout_s)
        return acknowledged.model_copy(update={"epoch": acknowledged.epoch + 1}) if is_repeated else acknowledged


class Fragile(Good):
    """Break down over what it cannot load."""

    def load(self, bundle: Bundle) -> None:
        try:
            super().load(bundle)
        except TargetRefused:
            self.place.version = 9
            raise


class Sly(Good):
    """Refuse an older record and follow it all the same."""

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        try:
            return super().serve(order, timeout_s)
        except TargetIsAhead:
            self.place.version = order.record.champion.version
            raise


class Forward(Good):
    """Know no way back to an earlier version."""

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        newest = max(self.place.version or 0, order.record.champion.version)
        acknowledged = super().serve(order, timeout_s)
        self.place.version = newest
        return acknowledged


def checks_that_fail(kind: type[Good], home: Path) -> set[str]:
    files = home / "files"
    files.mkdir()
    (files / "MLmodel").write_text("flavors: {}", encoding="utf-8")
    place, bundles = Place(), home / "bundles"
    found = check_target(lambda: kind(place, bundles), TERMS, files, bundles)
    assert not (bundles / CHECK_MODEL).exists()
    return {complaint.check for complaint in found}


def test_a_good_target_keeps_all_the_rules(tmp_path: Path) -> None:
    assert checks_that_fail(Good, tmp_path) == set()


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Eager, "prepares"),
        (Careless, "stale"),
        (Credulous, "refuses"),
        (Hasty, "promotes"),
        (Clinging, "forgets"),
        (Grumpy, "works"),
        (Early, "prepares"),
        (Impatient, "prepares"),
        (Mumbling, "probes"),
        (Trusting, "refuses"),
        (Boastful, "promotes"),
        (Forgetful, "promotes"),
        (Counting, "repeats"),
        (Fragile, "refuses"),
        (Sly, "stale"),
        (Forward, "rolls_back"),
    ],
)
def test_a_broken_rule_is_found(tmp_path: Path, kind: type[Good], check: str) -> None:
    assert check in checks_that_fail(kind, tmp_path)
