"""One policy on its way through the history: answer a step, learn its labels when they are due, decide, retrain."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from understudy.contract.replay.plan import Grid
from understudy.contract.replay.policies import Policy
from understudy.contract.replay.report import Retraining, Walk
from understudy.contract.words import PolicyKind, Trigger
from understudy.stages.replay.takeover import Gatekeeper

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """Say what a policy wants at a moment, and what it would have wanted."""

    reasons: tuple[Trigger, ...] = ()
    sentence: str = ""
    is_held_back: bool = False
    is_undecided: bool = False


@dataclass(frozen=True)
class Moment:
    """Tell a policy where it stands: at which moment, which training is in force, when it last trained."""

    place: int
    at: datetime
    in_force: int
    trained_at: datetime


class Decider(Protocol):
    """Decide at each moment whether a training is due."""

    def decide(self, moment: Moment) -> Choice:
        """Say what is due."""
        ...

    def has_trained(self, moment: Moment) -> None:
        """Learn that a training was asked for at that moment."""
        ...


@dataclass
class Planned:
    """Train at moments that are known beforehand."""

    places: Collection[int]
    trigger: Trigger = Trigger.SCHEDULE

    def decide(self, moment: Moment) -> Choice:
        """Look into the plan."""
        return Choice((self.trigger,), "it was planned") if moment.place in self.places else Choice()

    def has_trained(self, moment: Moment) -> None:
        """Need no memory."""


@dataclass
class Clockwork:
    """Train as soon as the last training is so long ago."""

    policy: Policy

    def decide(self, moment: Moment) -> Choice:
        """Look at the clock."""
        age = moment.at - moment.trained_at
        if self.policy.kind is PolicyKind.EVERY:
            return Choice((Trigger.SCHEDULE,), "it trains at every step")
        if self.policy.kind is PolicyKind.NEVER or self.policy.max_age is None or age < self.policy.max_age:
            return Choice()
        return Choice((Trigger.SCHEDULE,), f"the last training was {age} ago")

    def has_trained(self, moment: Moment) -> None:
        """Need no memory."""


@dataclass
class _Way:
    in_force: int = 0
    trained: int = 0
    steps: list[int] = field(default_factory=list)
    retrainings: list[Retraining] = field(default_factory=list)
    held_back: int = 0
    undecided: int = 0


def walk(name: str, decider: Decider, grid: Grid, gatekeeper: Gatekeeper) -> Walk:
    """Let a policy walk forward in time; what it does not know yet is never shown to it."""
    way = _Way()
    for place in range(1, grid.steps + 1):
        way.steps.append(way.in_force)
        if place == grid.steps:
            break
        _decide(way, place, decider, grid, gatekeeper)
    return Walk(
        policy=name,
        in_force=tuple(way.steps),
        retrainings=tuple(way.retrainings),
        held_back=way.held_back,
        undecided=way.undecided,
    )


def _decide(way: _Way, place: int, decider: Decider, grid: Grid, gatekeeper: Gatekeeper) -> None:
    moment = Moment(place, grid.moments[place], way.in_force, grid.moments[way.trained])
    choice = decider.decide(moment)
    way.held_back += choice.is_held_back
    way.undecided += choice.is_undecided
    if not choice.reasons or choice.is_held_back:
        return
    takes_over, verdict = gatekeeper.admits(place, way.in_force)
    log.info("%s: %s; %s", moment.at, choice.sentence, verdict)
    way.retrainings.append(
        Retraining(
            place=place,
            at=moment.at,
            reasons=choice.reasons,
            sentence=f"{choice.sentence}; {verdict}",
            takes_over=takes_over,
        )
    )
    way.trained = place
    decider.has_trained(moment)
    if takes_over:
        way.in_force = place
