"""A model that is served elsewhere: what its declaration may say, and what it may ask of its target."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import yaml

from understudy.contract.declared import Declared
from understudy.contract.errors import SpecProblem
from understudy.contract.load import load_model, load_spec, read_model
from understudy.contract.target_class import TargetUnusable, target_class
from understudy.contract.words import Capability

EXAMPLE = "include.examples.mlflow_serve.target:MlflowServe"


class Options(Declared):
    where: str = "here"


class Target:
    """Has what every target has."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    options: ClassVar[type[Declared]] = Options

    def prepare(self) -> None: ...
    def serve(self) -> None: ...
    def status(self) -> None: ...
    def probe(self) -> None: ...
    def forget(self) -> None: ...


class Rehearsing(Target):
    capabilities = frozenset({Capability.REHEARSAL})

    def rehearsal(self) -> None: ...


class Boastful(Target):
    capabilities = frozenset({Capability.REHEARSAL})


class Undeclared(Target):
    capabilities = {"rehearsal"}  # type: ignore[assignment] # noqa: RUF012 - the mistake that is to be found


class Optionless(Target):
    options = dict  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def team(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("team")
    for name in ("Target", "Rehearsing", "Boastful", "Undeclared", "Optionless"):
        setattr(module, name, globals()[name])
    vars(module)["instance"] = Target()
    monkeypatch.setitem(sys.modules, "team", module)


def declare(folder: Path, **sections: Any) -> Path:
    spec = {
        "model": "demand",
        "owner": "market-ml",
        "task": "binary_classification",
        "data": {"source": "x.csv", "target": "up", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}],
        **sections,
    }
    path = folder / "demand" / "model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    return path


def problem_of(folder: Path, **sections: Any) -> str:
    path = declare(folder, **sections)
    with pytest.raises(SpecProblem) as problem:
        load_spec(path)
    return str(problem.value)


def test_a_target_with_its_options_is_fine(tmp_path: Path) -> None:
    serving = {"target": "team:Target", "options": {"where": "there"}, "connection": "kserve"}
    spec = load_spec(declare(tmp_path, serving=serving))
    assert spec.serving is not None
    assert (spec.serving.target, spec.serving.options, spec.serving.connection) == tuple(serving.values())


@pytest.mark.parametrize("section", ["shadow", "guard"])
def test_a_target_that_cannot_mirror_is_not_asked_for_evidence(tmp_path: Path, section: str) -> None:
    told = problem_of(tmp_path, serving={"target": "team:Target"}, **{section: {}})
    assert told.endswith(
        f"model.yaml:13: {section}: needs requests that a second version answers unseen, and team:Target does not "
        f"mirror any. Remove {section}, or remove serving.target so that our gateways serve the model"
    )


def test_one_that_can_is_asked(tmp_path: Path) -> None:
    assert load_spec(declare(tmp_path, serving={"target": "team:Rehearsing"}, shadow={}, guard={})).shadow is not None


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("no.such:Target", "no.such cannot be imported (ModuleNotFoundError"),
        ("team:Nobody", "team has no class 'Nobody'"),
        ("team:instance", "team has no class 'instance'"),
        ("team:Boastful", "it lacks rehearsal"),
        ("team:Undeclared", "its capabilities are not declared"),
        ("team:Optionless", "its options are not declared"),
    ],
)
def test_what_is_no_target_is_refused_with_its_line(tmp_path: Path, target: str, told: str) -> None:
    said = problem_of(tmp_path, serving={"target": target})
    assert f"model.yaml:12: serving.target: {target} cannot be used: {told}" in said
    assert "Name package.module:Class" in said


@pytest.mark.parametrize(
    ("serving", "told"),
    [
        ({"target": "Kserve"}, "serving.target: 'Kserve' does not name a class; write package.module:Class"),
        ({"options": {"where": "x"}}, "serving: options is read by a target only"),
        ({"connection": "kserve"}, "serving: connection is read by a target only"),
        ({"target": "team:Target", "max_batch": 3}, "max_batch is for our gateways, and team:Target serves the model"),
        (
            {"target": "team:Target", "options": {"wher": 1}},
            "serving.options: wher: unknown field. team:Target knows: where",
        ),
    ],
)
def test_what_nobody_would_read_is_refused(tmp_path: Path, serving: dict[str, Any], told: str) -> None:
    assert told in problem_of(tmp_path, serving=serving)


def test_who_does_not_serve_it_can_read_it_without_the_target(tmp_path: Path) -> None:
    declare(tmp_path, serving={"target": "no.such:Target"})
    assert read_model(tmp_path, "demand").serving is not None
    with pytest.raises(SpecProblem):
        load_model(tmp_path, "demand")


def test_the_example_is_a_target() -> None:
    assert target_class(EXAMPLE).capabilities == frozenset()


def test_a_module_that_breaks_at_its_import_breaks_one_declaration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_target.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TargetUnusable, match="ZeroDivisionError"):
        target_class("broken_target:Target")
