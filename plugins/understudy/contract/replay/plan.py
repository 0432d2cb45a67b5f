"""What a replay is asked to do: over which past, in which steps, with which policies. Pure arithmetic on times."""

from datetime import datetime, timedelta, timezone

from pydantic import Field, model_validator

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import Duration, Fact, format_duration
from understudy.contract.errors import UnderstudyError
from understudy.contract.replay.policies import Policy
from understudy.contract.words import PolicyKind, Takeover

MIN_STEPS = 4
MAX_STEPS = 2_000
USUAL_STEPS = 150
STEPS = tuple(timedelta(seconds=s) for s in (60, 600, 3_600, 21_600, 86_400, 604_800, 2_419_200))
WHOLE_STEP = 0.9
"""A last step of which a smaller share is there is left out."""
FIRST_SHARE = 0.25
"""How much of the history the first training gets at most where nothing else is asked for."""


class ReplayImpossible(UnderstudyError):
    """A history cannot be replayed as asked."""


class NoTime(ReplayImpossible):
    """The rows of a model have no dates."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} cannot be replayed: its rows have no dates. Name the column that dates them as data.time in "
            "its model.yaml"
        )


class HistoryTooShort(ReplayImpossible):
    """The rows do not reach far enough."""

    def __init__(self, model: str, start: datetime, end: datetime, problem: str) -> None:
        super().__init__(
            f"{model} cannot be replayed: {problem}. Its rows run from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
        )


class Grid(Fact):
    """Hold the moments of a replay: the first training at ``moments[0]``, then a step between any two."""

    moments: tuple[datetime, ...] = Field(min_length=2)
    window: Duration | None
    """How far back a training reads; everything when absent."""
    label_delay: Duration

    @model_validator(mode="after")
    def _in_order(self) -> "Grid":
        if any(later <= earlier for earlier, later in zip(self.moments, self.moments[1:], strict=False)):
            raise ValueError("the moments of a replay must follow each other")
        return self

    @property
    def steps(self) -> int:
        """Count the stretches between the moments."""
        return len(self.moments) - 1

    @property
    def step(self) -> timedelta:
        """Give the time between two moments, which is the same everywhere."""
        return self.moments[1] - self.moments[0]

    def known_until(self, place: int) -> datetime:
        """Give the moment before which a row's label is known at a moment of the grid, named by its place."""
        return self.moments[place] - self.label_delay

    def trained_from(self, place: int) -> datetime | None:
        """Give the moment from which a training at a moment of the grid reads; None for the beginning."""
        return None if self.window is None else self.known_until(place) - self.window


class ReplayPlan(Fact):
    """Hold all that decides a replay's numbers beside the declaration, the data and the code."""

    grid: Grid
    policies: tuple[Policy, ...]
    takeover: Takeover = Takeover.GATES
    keeps_holdout: bool = True
    """Whether a training leaves its holdout to the gates, as a retraining run does; else the fit gets all rows."""
    tolerance: float = Field(default=0.1, ge=0, lt=1)
    """The share of what retraining at every step gains that a cheaper policy may lose and still be recommended."""

    @model_validator(mode="after")
    def _gates_need_a_holdout(self) -> "ReplayPlan":
        if self.takeover is Takeover.GATES and not self.keeps_holdout:
            raise ValueError("the gates judge on the holdout, so it cannot be trained on")
        return self


def plan_grid(
    spec: ModelSpec,
    oldest: datetime,
    newest: datetime,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    step: timedelta | None = None,
) -> Grid:
    """Cut a history into steps.

    :param oldest: the time of the oldest row; ``newest`` that of the newest one.
    :param start: when the first training happens; chosen so that it has a whole window, at most a quarter of the rows.
    :param end: when the replay ends.
    :param step: how often the policies decide; the shortest usual length that gives at most 150 steps when absent.
    :raises ReplayImpossible: where that cannot be done.
    """
    data = spec.data
    if data.time is None:
        raise NoTime(spec.model)
    last = min(newest, end) if end else newest
    history = newest - oldest
    if data.label_delay >= history:
        raise HistoryTooShort(
            spec.model,
            oldest,
            newest,
            f"labels are final after {format_duration(data.label_delay)} (data.label_delay), which is longer than "
            "the whole history",
        )
    first = start or _first_training(spec, oldest, history)
    if first - data.label_delay <= oldest:
        raise HistoryTooShort(
            spec.model, oldest, newest, f"no row with a known label comes before its start at {first:%Y-%m-%d %H:%M}"
        )
    left = last - first
    chosen = step or next((s for s in STEPS if left <= s * USUAL_STEPS), STEPS[-1])
    count = int(left / chosen + 1 - WHOLE_STEP) if left > timedelta() else 0
    if count < MIN_STEPS:
        raise HistoryTooShort(
            spec.model,
            oldest,
            newest,
            f"{count} steps of {format_duration(chosen)} fit between {first:%Y-%m-%d %H:%M} and "
            f"{last:%Y-%m-%d %H:%M}; {MIN_STEPS} are needed. Take shorter steps, or another start",
        )
    if count > MAX_STEPS:
        raise HistoryTooShort(
            spec.model,
            oldest,
            newest,
            f"{count:,} steps of {format_duration(chosen)} are more than {MAX_STEPS:,} trainings. Take longer steps",
        )
    moments = tuple(first + chosen * place for place in range(count + 1))
    return Grid(moments=moments, window=data.window, label_delay=data.label_delay)


def _first_training(spec: ModelSpec, oldest: datetime, history: timedelta) -> datetime:
    usable = (history - spec.data.label_delay) * FIRST_SHARE
    length = min(spec.data.window, usable) if spec.data.window else usable
    moment = oldest + spec.data.label_delay + length
    # A whole second, so that the moments read well and are the same in every language that prints them.
    return moment.astimezone(timezone.utc).replace(microsecond=0) + timedelta(seconds=1)


def usual_policies(spec: ModelSpec, grid: Grid) -> tuple[Policy, ...]:
    """Choose the policies that are worth comparing where none is asked for."""
    step = grid.step
    schedules = [Policy(kind=PolicyKind.SCHEDULE, max_age=step * times) for times in (2, 4, 8) if times < grid.steps]
    aged = [] if spec.retrain.max_age else [Policy(kind=PolicyKind.HYBRID, max_age=step * 8)]
    kinds = (PolicyKind.DRIFT, PolicyKind.QUALITY, PolicyKind.HYBRID)
    return (
        Policy(kind=PolicyKind.NEVER),
        *(Policy(kind=kind) for kind in kinds),
        *aged,
        *schedules,
        Policy(kind=PolicyKind.EVERY),
    )
