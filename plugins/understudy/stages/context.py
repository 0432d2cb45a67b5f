"""What a stage function gets and gives. Data teams import this: ``from understudy.stages import stage``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue

from understudy.contract.stage import StageRequest

StageFunction = Callable[["StageContext"], "StageOutput"]
F = TypeVar("F", bound=StageFunction)


class Refused(Exception):
    """The input or the declaration is bad, so that trying again is useless; the container exits with 65."""

    def __init__(self, message: str, field: str | None = None) -> None:
        self.message, self.field = message, field
        super().__init__(message)


@dataclass(frozen=True)
class StageContext:
    """Give a stage its request, its mounted inputs, its output folder and its secrets."""

    request: StageRequest
    inputs: Mapping[str, Path]
    outputs: Path
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class StageOutput:
    """Return what was measured.

    ``outputs`` names files or folders below ``StageContext.outputs``. ``timings`` holds what differs from run to run.
    """

    report: BaseModel | dict[str, JsonValue]
    outputs: Mapping[str, Path] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


def stage(function: F) -> F:
    """Mark a function as a stage, so that a container runs nothing that was not meant to be one."""
    function.__dict__["is_understudy_stage"] = True
    return function


def is_stage(candidate: Any) -> bool:
    """Tell whether a function was marked."""
    return callable(candidate) and getattr(candidate, "is_understudy_stage", False)
