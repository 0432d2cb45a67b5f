"""Find the function that a request names."""

import importlib
import sys
from pathlib import Path
from typing import cast

from understudy.contract.suggest import nearest
from understudy.contract.words import StageName
from understudy.stages.context import Refused, StageFunction, is_stage

CODE_INPUT = "code"
"""The input that holds a team's own modules."""


def resolve(stage: str, code: Path | None) -> StageFunction:
    """Import a built-in stage by name, or ``package.module:function`` that ``@stage`` marks.

    :raises Refused: when there is no such stage; a retry would not find it either.
    """
    if code is not None and code.is_dir():
        sys.dont_write_bytecode = True  # inputs are read-only, and not ours to litter
        sys.path.insert(0, str(code))
    module, _, function = _reference(stage).partition(":")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{module}.".startswith(f"{missing.name}."):
            raise  # the stage's own import of a library failed: engineers need the traceback
        raise Refused(
            f"Stage {stage!r} names module {module!r}, which is neither in the image nor in the input {CODE_INPUT!r}",
            "stage",
        ) from missing
    if found is None:
        raise Refused(f"Stage {stage!r}: module {module!r} has no function {function!r}", "stage")
    if not is_stage(found):
        raise Refused(f"Stage {stage!r} is not marked as one; put @stage above {function}", "stage")
    return cast("StageFunction", found)


def _reference(stage: str) -> str:
    if ":" in stage:
        return stage
    names = [name.value for name in StageName]
    if stage not in names:
        raise Refused(
            f"Stage {stage!r} is unknown{nearest(stage, names)}; a stage of your own is written "
            "package.module:function",
            "stage",
        )
    return f"understudy.stages.{stage}:run"
