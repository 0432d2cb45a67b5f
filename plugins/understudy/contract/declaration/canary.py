"""How a challenger answers a share of the callers before it is promoted."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, model_validator

from understudy.contract.declaration.serving import LiveGates
from understudy.contract.declared import Duration, PositiveDuration, parse_duration
from understudy.contract.words import CanaryMode

LONGEST_PAUSE = timedelta(minutes=1)
"""Between two looks at a canary, at most."""
LARGEST_COMPARED = 0.5
"""With a larger share than this, less is left for the champion than the canary has."""
Share = Annotated[float, Field(gt=0, le=1)]
_OF_MODE = {
    CanaryMode.CANARY: ("steps", "hold", "step_deadline"),
    CanaryMode.AB: ("share", "horizon", "min_gain"),
}


class CanarySpec(LiveGates):
    """Say which share of the callers a challenger answers, and what it must show there before it is promoted."""

    mode: CanaryMode = CanaryMode.CANARY
    """canary: the share rises step by step; ab: it stays for a fixed time, and then the difference in value decides."""
    steps: tuple[Share, ...] = Field(default=(0.01, 0.05, 0.25, 0.5, 1.0), min_length=1, max_length=20)
    """The shares of the keys, each larger than the one before; for mode canary."""
    hold: Duration = Field(default_factory=lambda: parse_duration("10m"))
    """How long each step lasts at least; for mode canary."""
    step_deadline: PositiveDuration = Field(default_factory=lambda: parse_duration("2d"))
    """How long a step may wait for enough evidence; after that the canary is declined; for mode canary."""
    share: float = Field(default=0.5, gt=0, le=LARGEST_COMPARED)
    """The share of the keys that the challenger answers; a copy of the champion answers as many; for mode ab."""
    horizon: PositiveDuration = Field(default_factory=lambda: parse_duration("14d"))
    """How long both answer; for mode ab."""
    min_gain: float | None = Field(default=None, ge=0)
    """By how much value per row it must provably be better; when absent, not more than margin worse; for mode ab."""
    grace: Duration = Field(default_factory=lambda: parse_duration("1m"))
    """How long gateways may be out of sight while it answers callers; after that it is ended.

    A gateway that nobody reaches ends it by itself, a minute later at most.
    """

    @property
    def shares(self) -> tuple[float, ...]:
        """Give the shares in turn."""
        return self.steps if self.mode is CanaryMode.CANARY else (self.share,)

    @property
    def length_of_step(self) -> timedelta:
        """How long one share lasts at most."""
        return self.step_deadline if self.mode is CanaryMode.CANARY else self.horizon

    @property
    def longest(self) -> timedelta:
        """How long a canary lasts at most."""
        return len(self.shares) * self.length_of_step

    @property
    def lease(self) -> timedelta:
        """How long it answers at a gateway that nobody reaches: operators alone come by once in a pause."""
        return self.grace + LONGEST_PAUSE

    @model_validator(mode="after")
    def _belongs_to_the_mode(self) -> "CanarySpec":
        foreign = [
            name
            for mode, names in _OF_MODE.items()
            for name in names
            # What equals its default may be one that was written out when a run froze the declaration.
            if mode is not self.mode and getattr(self, name) != _default(name)
        ]
        if foreign:
            raise ValueError(f"{', '.join(foreign)} does not apply to mode {self.mode}")
        return self

    @model_validator(mode="after")
    def _steps_rise(self) -> "CanarySpec":
        if any(later <= earlier for earlier, later in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("steps must rise, for example [0.01, 0.1, 0.5, 1.0]")
        if self.steps[0] > LARGEST_COMPARED:
            raise ValueError(
                f"the first of steps must be at most {LARGEST_COMPARED:g}: with a larger one nothing was compared yet"
            )
        return self

    @model_validator(mode="after")
    def _time_suffices(self) -> "CanarySpec":
        if self.hold > self.step_deadline:
            raise ValueError("hold is longer than step_deadline, so no step could ever pass")
        if self.mode is CanaryMode.AB:
            self._refuse_too_few_blocks("horizon", self.horizon)
        elif self.min_labels:
            self._refuse_too_few_blocks("step_deadline", self.step_deadline)
        return self


def _default(name: str) -> object:
    return CanarySpec.model_fields[name].get_default(call_default_factory=True)
