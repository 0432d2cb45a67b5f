"""How a model is split, searched, trained and evaluated."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from understudy.contract.declaration.safe_path import Code
from understudy.contract.declaration.search_space import SearchRange
from understudy.contract.declared import Declared, Duration, PositiveDuration, parse_duration, positive

SHARE = re.compile(r"^(\d{1,2}(?:\.\d+)?)%$")
LEAST_MEMORY = "128m"  # with polars and pandera alone a process holds 140 MB, part of it pages that can be given back
MEMORY = re.compile(r"^(\d{1,6})(m|g)$")


def _share_or_duration(value: str) -> str:
    match = SHARE.match(value)
    if match is None:
        positive(parse_duration(value))
    elif not 0 < float(match[1]) <= 50:
        raise ValueError(f"{value!r} is not a sensible share; use more than 0% and at most 50%")
    return value


def _memory(value: str) -> str:
    match = MEMORY.match(value)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{value!r} is not an amount of memory; write for example 512m or 4g")
    return value


def _enough_to_start(value: str) -> str:
    if memory_bytes(value) < memory_bytes(LEAST_MEMORY):
        raise ValueError(f"{value} does not even hold the libraries; write {LEAST_MEMORY} at least")
    return value


ShareOrDuration = Annotated[str, AfterValidator(_share_or_duration)]
Memory = Annotated[str, AfterValidator(_memory)]
WorkingMemory = Annotated[Memory, AfterValidator(_enough_to_start)]


def memory_bytes(value: str) -> int:
    """Read ``512m`` or ``4g`` as bytes."""
    return int(value[:-1]) * (1 << (20 if value[-1] == "m" else 30))


class SplitSpec(Declared):
    """Say which rows no training may see.

    A window with too few rows in a part, or with one class only where there are two, is refused by the data check,
    which divides it as training will. One of several classes is enough to be tested on, unless a gate is `roc_auc`.
    """

    holdout: ShareOrDuration = "20%"
    """The newest rows, as a share (20%) or a duration (28d), kept for the gates."""
    validation: ShareOrDuration = "20%"
    """The newest part of the rest, on which trials are compared."""
    embargo: Duration = Field(default_factory=lambda: parse_duration("0s"))
    """A gap before the holdout that nobody uses, so that labels that look ahead cannot leak."""
    method: Literal["time", "random"] = "time"
    """random is for data without dates only; a random split of dated data is refused."""


class TrainSpec(Declared):
    """Say how the challenger is made."""

    estimator: str = "hist_gradient_boosting"
    """A built-in scikit-learn estimator."""
    params: dict[str, JsonValue] = Field(default_factory=dict)
    """Fixed parameters of the estimator or trainer."""
    search: dict[str, SearchRange] = Field(default_factory=dict)
    """Parameters to search; nothing is searched when empty."""
    budget: int = Field(default=8, ge=1, le=500)
    """How many trials to run in all; where the champion was searched in the same space, one round of parallelism."""
    parallelism: int = Field(default=4, ge=1, le=64)
    """How many trials run at once; also the size of a round."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Makes data sampling, search and training repeatable."""
    trainer: Code | None = None
    """Instead of estimator: ``trainer.py:train``, called as train(frame, params, context)."""
    allow_pickle: bool = False
    """Let trainer return an object that only pickle can store; loading such a model runs its code."""


class ValueSpec(Declared):
    """Say what an answer is worth."""

    costs: dict[str, dict[str, float]] | None = None
    """For classes: costs[actual][predicted]; a gain is a negative cost."""
    function: Code | None = None
    """``value.py:value`` in the model's folder: (actual, predicted) arrays in, value per row out."""

    @model_validator(mode="after")
    def _one_way(self) -> "ValueSpec":
        if (self.costs is None) == (self.function is None):
            raise ValueError("give either costs or function")
        return self


class EvaluateSpec(Declared):
    """Say how the challenger is compared with the champion."""

    slices: tuple[str, ...] = ()
    """Columns whose values must each not become worse."""
    min_slice_rows: int = Field(default=200, ge=10)
    """Smaller slices are shown, not judged."""
    fairness: tuple[str, ...] = ()
    """Columns whose groups are compared for parity_gap."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """The accepted risk of a wrong yes, one-sided, per gate."""
    block: PositiveDuration | None = None
    """The length of the time blocks over which differences are averaged; chosen from the data when absent."""
    max_rows: int = Field(default=200_000, ge=1000)
    """A longer holdout is thinned evenly in time."""
    value: ValueSpec | None = None
    """What an answer is worth; makes the metric ``value`` available to gates."""
    must_beat: tuple[Literal["dummy", "linear"], ...] = ("dummy", "linear")
    """Reference models that the challenger must beat by the first gate's metric; the dummy by more than chance."""


class RuntimeSpec(Declared):
    """Say in what a stage runs; an absent value falls back to the model's, then to the deployment's."""

    isolation: Literal["docker", "process"] | None = None
    """Where stages run; when absent, in Docker where an engine answers, and only there for an own image or GPUs."""
    image: str | None = Field(default=None, min_length=1)
    """The container image."""
    memory: WorkingMemory | None = None
    """The memory limit."""
    cpus: float | None = Field(default=None, gt=0, le=512)
    """The CPU limit; also the number of threads that numeric libraries may start."""
    shm: Memory | None = None
    """The size of /dev/shm."""
    gpus: int | None = Field(default=None, ge=0, le=64)
    """How many GPUs to hand to the container."""
    timeout: PositiveDuration | None = None
    """When a stage that still runs is killed."""

    def over(self, fallback: "RuntimeSpec") -> "RuntimeSpec":
        """Fill what is absent here from a fallback."""
        return RuntimeSpec.model_validate(
            {**fallback.model_dump(exclude_none=True), **self.model_dump(exclude_none=True)}
        )
