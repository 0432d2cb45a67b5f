"""The fleet: every model at a glance, searched, filtered, sorted and paged on the server. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone

from pydantic import Field

from understudy.contract.declared import Fact
from understudy.contract.words import Word
from understudy.overview.glance import Glance, Health
from understudy.ui.wanted import Wanted

LONGEST_SEARCH = 200
_NEVER = datetime.fromtimestamp(0, tz=timezone.utc)


class Sort(Word):
    """Name what models can be sorted by."""

    HEALTH = "health"
    MODEL = "model"
    SINCE = "since"
    LOOK = "look"
    RETRAINING = "retraining"


class Asked(Wanted):
    """Say which models are asked for, and in which order."""

    search: str = Field(default="", max_length=LONGEST_SEARCH)
    """A part of the model's or its owner's name."""
    health: Health | None = None
    sort: Sort = Sort.HEALTH
    backwards: bool = False
    page: int = Field(default=1, ge=1, le=100_000)
    size: int = Field(default=50, ge=1, le=200)

    @property
    def is_descending(self) -> bool:
        """Tell whether the largest comes first: dates begin with the newest, states with the most urgent."""
        return self.backwards == (self.sort is Sort.MODEL)


class Fleet(Fact):
    """Hold one page of models."""

    models: tuple[Glance, ...]
    found: int
    """How many models fit the search."""
    total: int
    page: int
    pages: int
    counts: dict[Health, int]
    """How many of those that fit the search are in which health."""


def fleet(glances: Sequence[Glance], asked: Asked) -> Fleet:
    """Find, sort and cut; a page after the last one is the last one."""
    wanted = asked.search.strip().casefold()
    found = [one for one in glances if wanted in one.model.casefold() or wanted in one.owner.casefold()]
    counts = Counter(one.health for one in found)
    shown = [one for one in found if asked.health in (None, one.health)]
    shown.sort(key=lambda one: one.model)
    shown.sort(key=lambda one: _rank(one, asked.sort), reverse=asked.backwards)
    pages = max(-(-len(shown) // asked.size), 1)
    page = min(asked.page, pages)
    start = (page - 1) * asked.size
    return Fleet(
        models=tuple(shown[start : start + asked.size]),
        found=len(shown),
        total=len(glances),
        page=page,
        pages=pages,
        counts={health: counts.get(health, 0) for health in Health},
    )


def _rank(one: Glance, sort: Sort) -> tuple[float, str]:
    """Order by urgency, by name, or the newest first."""
    if sort is Sort.MODEL:
        return (0.0, one.model)
    if sort is Sort.HEALTH:
        return (float(list(Health).index(one.health)), "")
    if sort is Sort.SINCE:
        moment = one.champion.since if one.champion else _NEVER
    else:
        event = one.look if sort is Sort.LOOK else one.retraining
        moment = event.at if event else _NEVER
    return (-moment.timestamp(), "")
