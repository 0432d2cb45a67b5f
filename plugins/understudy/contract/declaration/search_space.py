"""What a search may try for one parameter: a list, whole numbers or real numbers."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from understudy.contract.declaration.wrong_value import shown
from understudy.contract.declared import Declared

WAY_OUT = "write {low: 1, high: 9} or {choices: [a, b]}; a fixed value stands in train.params"


class FloatRange(Declared):
    """Search a real number."""

    low: float
    """The smallest value."""
    high: float
    """The largest value."""
    log: bool = False
    """Search the exponent evenly."""

    @model_validator(mode="after")
    def _be_a_range(self) -> "FloatRange":
        _refuse_none(self.low, self.high)
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low:g} must be above 0 where log is true")
        return self


class IntRange(Declared):
    """Search a whole number."""

    low: int
    """The smallest value."""
    high: int
    """The largest value."""
    step: int = Field(default=1, ge=1)
    """The distance between candidates."""

    @model_validator(mode="after")
    def _be_a_range(self) -> "IntRange":
        _refuse_none(self.low, self.high)
        return self


class Choice(Declared):
    """Search a list."""

    choices: tuple[str | int | float | bool | None, ...] = Field(min_length=1)
    """The candidates."""


def _refuse_none(low: float, high: float) -> None:
    if low >= high:
        raise ValueError(f"low {low:g} and high {high:g} make no range; low must lie below high")


def _one_way_to_search(value: Any) -> Any:
    if isinstance(value, Declared):
        return value
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{shown(value or None)} is not a range; {WAY_OUT}")
    bounds = [name for name in ("low", "high", "step", "log") if name in value]
    if "choices" in value and bounds:
        raise ValueError(f"choices and {bounds[0]} do not go together; keep the list, or the bounds")
    if "step" in value and "log" in value:
        raise ValueError("step is for whole numbers and log for real ones; keep one of them")
    real = next((name for name in bounds if isinstance(value[name], float)), None)
    if "step" in value and real is not None:
        raise ValueError(f"step is for whole numbers, and {real} {value[real]} is none; remove step")
    return _kind_of(value).model_validate(value)


def _kind_of(value: dict[Any, Any]) -> type[IntRange] | type[FloatRange] | type[Choice]:
    """Tell by its keys what a range searches; whole bounds are searched as whole numbers unless ``log`` is there."""
    if "choices" in value or any(isinstance(listed, list) for listed in value.values()):
        return Choice
    is_real = "log" in value or any(isinstance(bound, float) for bound in value.values())
    return FloatRange if is_real else IntRange


SearchRange = Annotated[IntRange | FloatRange | Choice, BeforeValidator(_one_way_to_search)]
