"""Find the class that a declaration names as its serving target."""

import importlib
import inspect
from typing import NamedTuple, Protocol, TypeGuard, cast

from pydantic import ValidationError

from understudy.contract.declaration.first_problem import dotted
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.wrong_value import problem_of
from understudy.contract.declared import Declared
from understudy.contract.errors import UnderstudyError
from understudy.contract.serving_target import METHODS, RehearsingTarget, ServingTarget, TargetSetup
from understudy.contract.words import Capability

NEEDED = {"shadow": Capability.REHEARSAL, "guard": Capability.REHEARSAL}
"""Sections of a declaration that ask more of a place than to serve."""
WAY_OUT = "Name package.module:Class of an installed package, or of a module below plugins/ or on PYTHONPATH"


class TargetUnusable(UnderstudyError):
    """What is named as a serving target is not one, or is not installed here."""

    def __init__(self, reference: str, problem: str) -> None:
        self.reference, self.problem = reference, problem
        super().__init__(f"The serving target {reference} cannot be used: {problem}. {WAY_OUT}.")


class TargetClass(Protocol):
    """Be the class of a serving target: it says what it can, and is built from a setup."""

    capabilities: frozenset[Capability]
    options: type[Declared]
    """What may stand in ``serving.options``."""

    def __call__(self, setup: TargetSetup) -> ServingTarget:
        """Build it; nothing is reached yet."""


def target_class(reference: str) -> TargetClass:
    """Import ``package.module:Class``; raise TargetUnusable where that is no serving target."""
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as broken:  # whatever a team's module raises makes one declaration unusable, no more
        raise TargetUnusable(reference, f"{module} cannot be imported ({type(broken).__name__}: {broken})") from broken
    if not inspect.isclass(found):
        raise TargetUnusable(reference, f"{module} has no class {name!r}")
    can = getattr(found, "capabilities", None)
    if not (isinstance(can, frozenset) and all(isinstance(capability, Capability) for capability in can)):
        raise TargetUnusable(reference, "its capabilities are not declared as a frozenset of Capability")
    options = getattr(found, "options", None)
    if not (inspect.isclass(options) and issubclass(options, Declared)):
        raise TargetUnusable(reference, "its options are not declared as a class of Declared")
    wanted = (*METHODS, *(("rehearsal",) if Capability.REHEARSAL in can else ()))
    missing = [method for method in wanted if not hasattr(found, method)]
    if missing:
        raise TargetUnusable(reference, f"it lacks {', '.join(missing)}")
    return cast("TargetClass", found)


class Misfit(NamedTuple):
    """Say what of a declaration its serving target cannot do."""

    at: tuple[str, ...]
    problem: str
    way_out: str


def misfit_of(spec: ModelSpec) -> Misfit | None:
    """Compare what a declaration asks for with what its serving target offers; None where that is enough."""
    if spec.serving is None or spec.serving.target is None:
        return None
    name = spec.serving.target
    try:
        found = target_class(name)
    except TargetUnusable as unusable:
        return Misfit(("serving", "target"), f"{name} cannot be used: {unusable.problem}", WAY_OUT)
    try:
        found.options.model_validate(spec.serving.options)
    except ValidationError as unfit:
        first = unfit.errors()[0]
        known = ", ".join(found.options.model_fields)
        problem = f"{dotted(first['loc'])}: {problem_of([first])}".removeprefix(": ")
        return Misfit(("serving", "options"), problem, f"{name} knows: {known or 'no options'}")
    for section, needed in NEEDED.items():
        if getattr(spec, section) is not None and needed not in found.capabilities:
            problem = f"needs requests that a second version answers unseen, and {name} does not mirror any"
            way_out = f"Remove {section}, or remove serving.target so that our gateways serve the model"
            return Misfit((section,), problem, way_out)
    return None


def can_rehearse(target: ServingTarget) -> TypeGuard[RehearsingTarget]:
    """Tell whether a target mirrors requests and reports on them."""
    return Capability.REHEARSAL in target.capabilities and isinstance(target, RehearsingTarget)
