"""``understudy check-target``: what it says of a good place, of a bad one, and of none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from typer.testing import CliRunner

from tests.unit.gateway.fake_processes import bundle
from tests.unit.hooks.places.targets import Credulous, Good, Place
from understudy.cli.app import app
from understudy.contract.by import By
from understudy.contract.declared import Declared
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import Acknowledgement, PrepareOrder, ServingOrder, ServingTerms
from understudy.contract.serving_target import ServingTarget, TargetSetup
from understudy.contract.words import Change
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.places.conformance import CHECK_MODEL
from understudy.hooks.places.errors import TargetUnreachable
from understudy.settings import settings

MODEL = "price"
HERE = f"{__name__}:"
PLACE = Place()
"""What outlives a target; the command makes a new target for each step."""


class NoOptions(Declared):
    """It has none."""


class Elsewhere(Good):
    """A place that keeps the rules."""

    options: ClassVar[type[Declared]] = NoOptions

    def __init__(self, setup: TargetSetup) -> None:
        super().__init__(PLACE, setup.bundles)


class ServesAnything(Elsewhere, Credulous):
    """A place that serves what it cannot load."""


class Unreachable(Elsewhere):
    """A place that is down."""

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        raise TargetUnreachable(self.name, "connection refused")

    def forget(self, model: str, timeout_s: float) -> None:
        raise TargetUnreachable(self.name, "connection refused")


class Crashing(Elsewhere):
    """A place whose class has a bug."""

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        raise KeyError("endpoint")


class Registry:
    """Give the champion's files; a registry of MLflow's takes half a minute to make."""

    def keep(self, bundle: Bundle) -> Path:
        folder = settings().home / "bundles" / bundle.model / str(bundle.version)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "MLmodel").write_text("flavors: {}", encoding="utf-8")
        return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.delenv("AIRFLOW__UNDERSTUDY__GATEWAYS", raising=False)
    monkeypatch.setattr("understudy.hooks.registry.registry.Registry", lambda *_, **__: Registry())
    settings.cache_clear()
    PLACE.version, PLACE.epoch = None, 0
    yield tmp_path
    settings.cache_clear()


def declare(home: Path, serving: "dict[str, Any] | None") -> None:
    spec: dict[str, Any] = {
        "model": MODEL,
        "owner": "market-ml",
        "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}],
    }
    path = home / "models" / MODEL / "model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(spec if serving is None else {**spec, "serving": serving}), encoding="utf-8")


def promote() -> None:
    champion = bundle(3).model_copy(update={"model": MODEL})
    record = Deployment(model=MODEL, epoch=1, change=Change.PROMOTION, champion=champion, previous=None)
    connect().deployments.deploy(record, 0, By(actor="ann", reason="weekly"))


def typed(*words: str) -> tuple[int, str, str]:
    said = CliRunner().invoke(app, ["check-target", *words])
    assert "Traceback" not in said.output
    assert said.exception is None or isinstance(said.exception, SystemExit)
    return said.exit_code, said.stdout, said.stderr


def checked(home: Path, kind: type[Elsewhere]) -> tuple[int, list[dict[str, str]]]:
    declare(home, {"target": f"{HERE}{kind.__name__}"})
    promote()
    status, told, _ = typed(MODEL, "--json")
    assert not (home / "bundles" / CHECK_MODEL).exists()
    return status, json.loads(told)


def test_a_place_that_keeps_the_rules_is_said_to(home: Path) -> None:
    assert checked(home, Elsewhere) == (0, [])
    assert typed(MODEL)[:2] == (0, "place keeps all the rules.\n")
    assert (PLACE.version, PLACE.epoch) == (None, 0)
    # The champion's own files were only copied, and nothing was decided.
    assert (home / "bundles" / MODEL / "3" / "MLmodel").read_text() == "flavors: {}"
    assert [served.deployment.epoch for served in connect().deployments.history(MODEL)] == [1]


def test_a_broken_rule_is_named_with_a_way_out_and_a_status_of_its_own(home: Path) -> None:
    status, found = checked(home, ServesAnything)
    assert status == 1
    assert "refuses" in {complaint["check"] for complaint in found}
    _, told, _ = typed(MODEL)
    assert "refuses: preparing what cannot be loaded is accepted\n  Raise TargetRefused." in told


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Unreachable, "connection refused"), (Crashing, "KeyError: 'endpoint'")],
    ids=["down", "crashing"],
)
def test_a_place_that_is_down_or_crashes_is_a_finding_and_leaves_nothing(
    home: Path, kind: type[Elsewhere], said: str
) -> None:
    status, found = checked(home, kind)
    assert status == 1
    assert said in found[0]["problem"]
    assert found[0]["check"] == "works"


def test_every_place_that_serves_is_checked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = Hooks.targets

    def two(hooks: Hooks, terms: ServingTerms) -> "list[ServingTarget]":
        return [*targets(hooks, terms), Unreachable(TargetSetup(bundles=home / "bundles"))]

    monkeypatch.setattr(Hooks, "targets", two)
    status, found = checked(home, Elsewhere)
    assert (status, [complaint["check"] for complaint in found]) == (1, ["works", "forgets"])


@pytest.mark.parametrize(
    ("serving", "is_promoted", "said"),
    [
        (None, True, "has no `serving:` section"),
        ({}, True, "none is known here"),
        ({"target": f"{HERE}Elsewhere"}, False, "No version of price serves yet"),
        ({"target": "no.such:Thing"}, True, "no.such"),
        ({"target": f"{HERE}MODEL"}, True, "MODEL"),
    ],
    ids=["a batch model", "no gateway", "no champion", "no such module", "no class"],
)
def test_what_cannot_be_checked_is_said_in_one_sentence(
    home: Path, serving: "dict[str, Any] | None", is_promoted: bool, said: str
) -> None:
    declare(home, serving)
    if is_promoted:
        promote()
    status, told, complaint = typed(MODEL)
    assert (status, said in complaint + told) == (1, True)
    assert len(complaint.strip().splitlines()) <= 3


def test_an_unknown_model_and_a_ledger_that_is_none_are_said_too(home: Path) -> None:
    status, told, complaint = typed("nope")
    assert (status, "No model 'nope'" in complaint + told) == (1, True)
    declare(home, {"target": f"{HERE}Elsewhere"})
    promote()
    (home / "ledger.db").write_text("nonsense", encoding="utf-8")
    status, told, complaint = typed(MODEL)
    assert (status, "ledger" in complaint + told) == (1, True)
