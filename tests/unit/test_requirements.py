"""The pins: what is written is what is installed, everything imports, and the two environments agree."""

import importlib
import re
import sys
import warnings
from importlib.metadata import metadata, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
AIRFLOW = PROJECT / "requirements.txt"
DEVELOPMENT = PROJECT / "requirements-dev.txt"
STAGE = PROJECT / "include" / "images" / "stage" / "requirements.txt"
SERVERS = PROJECT / "include" / "images" / "airflow" / "requirements.txt"

# Distributions whose module has another name.
MODULES = {
    "apache-airflow": "airflow",
    "apache-airflow-providers-docker": "airflow.providers.docker",
    "apache-airflow-providers-smtp": "airflow.providers.smtp",
    "apache-airflow-providers-standard": "airflow.providers.standard",
    "markdown-it-py": "markdown_it",
    "mlflow-skinny": "mlflow",
    "python-dotenv": "dotenv",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
# Their own dependencies' deprecations, which the stage that imports them leaves out as well.
WARNS_ON_IMPORT = {"evidently"}


def requirements(path: Path) -> list[Requirement]:
    lines = (line.split(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pins(path: Path, python: str) -> dict[str, str]:
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements(path)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python})
    }


PYTHONS = ("3.10", "3.11", "3.12", "3.13")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(
    "path", [AIRFLOW, DEVELOPMENT, STAGE, SERVERS], ids=lambda path: str(path.relative_to(PROJECT))
)
def test_every_requirement_is_one_exact_version(path: Path) -> None:
    loose = [str(line) for line in requirements(path) if not re.fullmatch(r"==[0-9][0-9a-z.]*", str(line.specifier))]
    assert loose == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("path", [AIRFLOW, DEVELOPMENT], ids=lambda path: path.name)
def test_every_supported_python_gets_each_package_exactly_once(path: Path, python: str) -> None:
    applying = [
        canonicalize_name(line.name)
        for line in requirements(path)
        if line.marker is None or line.marker.evaluate({"python_version": python})
    ]
    assert sorted(applying) == sorted({canonicalize_name(line.name) for line in requirements(path)})


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("path", [AIRFLOW, DEVELOPMENT], ids=lambda path: path.name)
def test_every_supported_python_can_have_what_is_pinned_for_it(path: Path, python: str) -> None:
    # Of what is installed here, and would be there as well.
    shared = pins(path, HERE).items() & pins(path, python).items()
    asked = {name: metadata(name).json.get("requires_python") for name, _ in shared}
    assert {name: asks for name, asks in asked.items() if asks and f"{python}.0" not in SpecifierSet(str(asks))} == {}


@pytest.mark.parametrize(("name", "pinned"), pins(AIRFLOW, HERE).items())
def test_every_pinned_package_is_installed_and_imports(name: str, pinned: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert version(name) == pinned
    if name in WARNS_ON_IMPORT:
        monkeypatch.setattr(warnings, "filters", [("ignore", None, Warning, None, 0)])
    importlib.import_module(MODULES.get(name, name.replace("-", "_")))


def test_the_stage_image_has_the_same_versions() -> None:
    # The image's Python is 3.11 or later: its requirements have no other lines.
    airflow = pins(AIRFLOW, "3.11")
    airflow["mlflow-skinny"] = airflow["mlflow"]
    stage = pins(STAGE, "3.11")
    assert stage == {name: airflow.get(name) for name in stage}


def test_the_servers_image_adds_to_the_environment_and_replaces_nothing() -> None:
    assert pins(SERVERS, "3.11").keys() & pins(AIRFLOW, "3.11").keys() == set()


def test_the_wheel_asks_for_nothing_that_is_not_tested_here() -> None:
    tomllib = pytest.importorskip("tomllib", reason="tomllib comes with Python 3.11")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonicalize_name(line.name): line.specifier for line in map(Requirement, project["dependencies"])}
    for python in ("3.10", "3.13"):
        pinned = pins(AIRFLOW, python)
        assert declared.keys() == pinned.keys()
        assert [name for name, bounds in declared.items() if pinned[name] not in bounds] == []
