"""No dead options: what a person can set is read by code that acts on it."""

import ast
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from understudy.contract.declaration.spec import ModelSpec
from understudy.settings import Settings

LIBRARY = Path(__file__).resolve().parents[2] / "plugins" / "understudy"
# They describe fields, they do not act on them.
SILENT = {"cli/reference.py", "infer/write_yaml.py"}
# Short names that other things have too: a read counts only in a module that gets hold of a section of that kind.
REACHED_BY = {
    "ColumnClasses": {"classes"},
    "ColumnCheck": {"columns", "ColumnCheck"},
    "Share": {"label_shares"},
    "Reference": {"references", "Reference"},
    "FloatRange": {"search", "FloatRange"},
    "IntRange": {"search", "IntRange"},
    "Choice": {"search", "Choice"},
    "ValueSpec": {"value", "ValueSpec"},
    "Gate": {"gates", "Gate"},
    "RuntimeSpec": {"runtime", "runtime_of", "RuntimeSpec"},
    "DataSpec": {"data", "DataSpec"},
    "ChecksSpec": {"checks", "ChecksSpec"},
    "SplitSpec": {"split", "SplitSpec"},
    "TrainSpec": {"train", "TrainSpec"},
    "EvaluateSpec": {"evaluate", "EvaluateSpec"},
    "RetrainSpec": {"retrain", "RetrainSpec"},
    "ServingSpec": {"serving", "ServingSpec", "terms", "ServingTerms"},
    "ShadowSpec": {"ShadowSpec", "RehearsalGates", "Contest"},
    "CanarySpec": {"CanarySpec", "CanaryWatch", "Contest"},
    "GuardSpec": {"GuardSpec", "RehearsalGates", "Contest"},
    "PromotionSpec": {"promotion", "PromotionSpec"},
    "MonitorSpec": {"monitor", "MonitorSpec"},
    "ScoredSpec": {"scored", "ScoredSpec"},
    "LabelsSpec": {"LabelsSpec"},
    "AlertsSpec": {"AlertsSpec"},
    "ModelSpec": {"spec", "ModelSpec"},
    "Settings": {"settings", "Settings", "chosen", "self"},
}


def sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    """Collect a declaration and everything that it nests."""
    found: set[type[BaseModel]] = {model}
    pending: list[Any] = [field.annotation for field in model.model_fields.values()]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= sections(annotation)
        pending.extend(get_args(annotation))
    return found


class Reads(ast.NodeVisitor):
    """Note which attributes are read, by the validator of which class if by one, and every name that occurs."""

    def __init__(self) -> None:
        self.owner = self.validator_of = ""
        self.attributes: set[tuple[str, str]] = set()
        self.names: set[str] = set()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self.owner = self.owner, node.name
        self.names.add(node.name)
        self.generic_visit(node)
        self.owner = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = self.validator_of
        if any("_validator" in ast.unparse(decorator) for decorator in node.decorator_list):
            self.validator_of = self.owner
        self.generic_visit(node)
        self.validator_of = outer

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.names.add(node.attr)
        if isinstance(node.ctx, ast.Load):
            self.attributes.add((node.attr, self.validator_of))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self.names.add(node.id)


@lru_cache(maxsize=1)
def modules() -> dict[str, Reads]:
    found = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        name = path.relative_to(LIBRARY).as_posix()
        if name not in SILENT:
            found[name] = Reads()
            found[name].visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def readers(section: type[BaseModel], field: str) -> list[str]:
    """Name the modules that read a field; a section that only checks itself does not act on what it says."""
    return [
        name
        for name, reads in modules().items()
        if reads.names & REACHED_BY[section.__name__]
        and any(read == field and checker != section.__name__ for read, checker in reads.attributes)
    ]


SECTIONS = sections(ModelSpec) | sections(Settings)
DECLARED = [
    (section.__name__, field, section)
    for section in sorted(SECTIONS, key=lambda section: section.__name__)
    for field in section.model_fields
]


@pytest.mark.parametrize(("name", "field", "section"), DECLARED, ids=lambda value: value if type(value) is str else "")
def test_every_field_is_read(name: str, field: str, section: type[BaseModel]) -> None:
    assert readers(section, field), f"{name}.{field} can be set, and nothing reads it"


def test_a_field_that_nothing_reads_is_found() -> None:
    assert readers(ModelSpec, "no_such_field") == []
