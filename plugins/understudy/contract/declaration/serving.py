"""How a model is served, rehearsed on live traffic, and watched after its promotion."""

import re
from datetime import timedelta

from pydantic import Field, JsonValue, field_validator, model_validator
from pydantic.fields import FieldInfo

from understudy.contract.declaration.train import Memory, WorkingMemory
from understudy.contract.declaration.wrong_value import shown
from understudy.contract.declared import Declared, PositiveDuration, format_duration, parse_duration
from understudy.contract.sequential import MIN_VALUES

CLASS_NAME = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


class ServingSpec(Declared):
    """Say how a gateway serves the model, or who else does; without this section it is a batch model."""

    target: str | None = Field(default=None, json_schema_extra={"pattern": CLASS_NAME.pattern})
    """Who serves it instead of our gateways: ``package.module:Class`` of a serving target."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """What the target wants to know; never a secret."""
    connection: str | None = None
    """The Airflow connection with the target's address and secrets."""
    timeout_ms: int = Field(default=2_000, ge=10, le=120_000)
    """After how long a request is answered with 504."""
    max_rows: int = Field(default=1_000, ge=1, le=100_000)
    """The most rows in one request."""
    max_batch: int = Field(default=64, ge=1, le=1_000)
    """The most requests that are scored together; 1 turns micro-batching off."""
    max_queue: int = Field(default=1_000, ge=1, le=100_000)
    """The most requests that may wait for the champion; more are answered with 429."""
    memory: WorkingMemory = "2g"
    """The memory limit of each scoring process."""
    strict_log: bool = False
    """Answer only after the prediction is on disk; slower, and loses nothing when the machine dies."""
    keep_log: PositiveDuration = Field(default_factory=lambda: parse_duration("30d"))
    """How long predictions and labels are kept."""
    max_log: Memory = "4g"
    """How much disk the prediction log may use; the oldest predictions are deleted beyond it."""

    @field_validator("target")
    @classmethod
    def _names_a_class(cls, target: str | None) -> str | None:
        if target is not None and not CLASS_NAME.fullmatch(target):
            raise ValueError(f"{shown(target)} does not name a class; write package.module:Class")
        return target

    @model_validator(mode="after")
    def _gateways_and_targets_are_told_apart(self) -> "ServingSpec":
        of_target = {"target", "options", "connection"}
        fields = type(self).model_fields
        declared = [name for name, field in fields.items() if getattr(self, name) != _default(field)]
        wrong = [name for name in declared if (name in of_target) is (self.target is None)]
        if wrong and self.target is None:
            raise ValueError(f"{wrong[0]} is read by a target only; add target: package.module:Class, or remove it")
        if wrong:
            raise ValueError(
                f"{wrong[0]} is for our gateways, and {self.target} serves the model; remove it, or target"
            )
        return self


def _default(field: FieldInfo) -> object:
    default: object = field.get_default(call_default_factory=True, validated_data={})
    return default


class LiveGates(Declared):
    """Say when one version does as well as another on live requests."""

    min_requests: int = Field(default=200, ge=1)
    """Fewer requests than this decide nothing."""
    min_labels: int = Field(default=0, ge=0)
    """Fewer labelled rows than this decide nothing; with 0, quality is not asked about."""
    block: PositiveDuration = Field(default_factory=lambda: parse_duration("1d"))
    """The length of the time blocks whose mean differences in loss are compared."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """The accepted risk of a wrong answer about quality, however often one looks."""
    margin: float = Field(default=0.05, ge=0, le=0.5)
    """The share of the champion's loss that may be lost."""
    max_error_share: float = Field(default=0.01, ge=0, le=1)
    """The highest share of its requests that may fail, drop or time out."""
    max_latency_ratio: float = Field(default=3.0, ge=1)
    """How much longer than the champion it may take at the 95th percentile."""
    max_memory_ratio: float = Field(default=3.0, ge=1)
    """How much more memory than the champion it may use."""
    max_score_shift: float | None = Field(default=None, gt=0)
    """The highest population stability index between both versions' scores; not asked about when absent."""

    def _refuse_too_few_blocks(self, name: str, length: timedelta) -> None:
        """Refuse to wait for labels for a time in which they can never decide."""
        if length < MIN_VALUES * self.block:
            block = format_duration(self.block)
            raise ValueError(
                f"{name} {format_duration(length)} holds fewer than {MIN_VALUES} blocks of {block}, so labels could "
                "never decide; write a shorter block or a longer time, or do not judge by labels here"
            )


class RehearsalGates(LiveGates):
    """Say when one version does as well as another on the same live requests."""

    share: float = Field(default=1.0, gt=0, le=1)
    """The share of requests that is mirrored."""
    min_agreement: float | None = Field(default=None, ge=0, le=1)
    """The lowest share of rows with equal answers (numbers: within 1%); not asked about when absent."""


class ShadowSpec(RehearsalGates):
    """Say what a challenger must show on live traffic before it is promoted."""

    deadline: PositiveDuration = Field(default_factory=lambda: parse_duration("7d"))
    """How long to wait for enough evidence; after that the challenger is declined as inconclusive."""

    @model_validator(mode="after")
    def _labels_can_decide(self) -> "ShadowSpec":
        if self.min_labels:
            self._refuse_too_few_blocks("deadline", self.deadline)
        return self


class GuardSpec(RehearsalGates):
    """Say what a new champion must keep up, compared with the one before, until its probation ends."""

    probation: PositiveDuration = Field(default_factory=lambda: parse_duration("1d"))
    """How long a new champion is watched."""

    @model_validator(mode="after")
    def _labels_can_decide(self) -> "GuardSpec":
        if self.min_labels:
            self._refuse_too_few_blocks("probation", self.probation)
        return self
