"""How long it still takes until a trial can be judged, by the pace at which evidence has come so far. Pure."""

from collections.abc import Mapping
from datetime import timedelta

from understudy.contract.declared import Fact
from understudy.contract.judgement import Judgement, Lack
from understudy.contract.words import Lacking, Verdict

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Remaining(Fact):
    """Say what a trial still needs, and how long that takes at the pace so far."""

    lack: Lack
    watched: timedelta
    """How long this evidence has been collected."""
    takes: timedelta | None
    """None where nothing has come yet, or nothing was watched: there is no pace then."""
    left: timedelta | None = None
    """How long the trial may still last; None where nobody knows."""

    @property
    def is_too_slow(self) -> bool:
        """Tell whether the time is up before, at this pace."""
        if self.left is None:
            return False
        return self.left <= timedelta() or (self.takes is not None and self.takes > self.left)

    @property
    def short(self) -> str:
        """Say it as briefly as a line of a table needs."""
        return f"{self._needed}, {self._when}"

    @property
    def sentence(self) -> str:
        """Say it with the numbers behind the estimate."""
        came = f"{max(self.lack.so_far, 0):,} came in {spoken(self.watched)}"
        if self.takes is None:
            return f"{self._needed}; {came}, so nobody can say when"
        pace = self.lack.so_far / (self.watched / HOUR)
        return f"{self._needed}, {self._when}; {came}, {pace:,.3g} an hour"

    @property
    def _needed(self) -> str:
        return f"needs about {self.lack.more:,} more {self.lack.of}"

    @property
    def _when(self) -> str:
        if self.left is not None and self.left <= timedelta():
            return "and its time is up"
        estimate = "no pace yet" if self.takes is None else f"~{spoken(self.takes)}"
        if self.left is None or not self.is_too_slow:
            return estimate
        return f"{estimate}, but its time is up in {spoken(self.left)}"


def remaining(
    judgement: Judgement, watched: Mapping[Lacking, timedelta], left: timedelta | None = None
) -> Remaining | None:
    """Say what takes longest of what a judgement still needs; None where it is decided, or more would decide nothing.

    :param watched: how long each kind of evidence was collected.
    """
    if judgement.verdict is not Verdict.INCONCLUSIVE:
        return None
    needed = [
        Remaining(lack=lack, watched=watched[lack.of], takes=_takes(lack, watched[lack.of]), left=left)
        for answer in judgement.results
        if (lack := answer.lack) is not None and lack.of in watched
    ]
    return max(needed, key=lambda one: timedelta.max if one.takes is None else one.takes, default=None)


def spoken(length: timedelta) -> str:
    """Write a length of time as roughly as an estimate is, in minutes, hours or days."""
    if length < 1.5 * HOUR:
        return f"{max(round(length / timedelta(minutes=1)), 1)} min"
    if length < 2 * DAY:
        return f"{round(length / HOUR)} h"
    return f"{round(length / DAY):,} d"


def _takes(lack: Lack, watched: timedelta) -> timedelta | None:
    if lack.so_far <= 0 or watched <= timedelta():
        return None
    try:
        return watched * (lack.more / lack.so_far)
    except OverflowError:  # longer than any date can say
        return timedelta.max
