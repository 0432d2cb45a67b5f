"""Look whether the built-in estimator has the parameters that a declaration names."""

from importlib import import_module

from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.suggest import nearest
from understudy.contract.words import StageName


def parameter_problems(spec: ModelSpec) -> list[str]:
    """Say which parameters do not exist; none where a trainer or an image of the team's own decides that."""
    named = {"train.params": list(spec.train.params), "train.search": list(spec.train.search)}
    if spec.train.trainer is not None or not any(named.values()) or _has_own_image(spec):
        return []
    estimator = estimators_for(spec.task)[spec.train.estimator]
    module, _, name = estimator.path.partition(":")
    known = list(getattr(import_module(module), name)().get_params())
    return [
        f"{field}.{param}: {estimator.name} has no such parameter{nearest(param, known)}"
        for field, params in named.items()
        for param in params
        if param not in known
    ]


def _has_own_image(spec: ModelSpec) -> bool:
    """Tell whether a stage that trains has libraries of its own, whose parameters may be others."""
    asked = (spec.runtime, *(spec.stages.get(stage) for stage in (StageName.TRIAL, StageName.TRAIN)))
    return any(runtime is not None and runtime.image is not None for runtime in asked)
