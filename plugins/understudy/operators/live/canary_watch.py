"""One share of a canary that is watched, and what was seen when the watching ended."""

from datetime import datetime, timedelta, timezone

from understudy.contract.declaration.canary import LONGEST_PAUSE, CanarySpec
from understudy.contract.declared import Fact
from understudy.contract.judgement import Judgement, combine
from understudy.contract.judges.canary import judge_ab, judge_step
from understudy.contract.live.canary_report import CanaryQuery, CanaryReport
from understudy.contract.release import Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import CanaryMode
from understudy.operators.live.watch import LOOKS, Ending, asked_of_ending

YOUNG_PAUSE = timedelta(seconds=10)
"""Callers are affected, so harm must be seen soon; but each look reads a log that grows."""
YOUNG = timedelta(hours=1)
"""How long a step is looked at more often: what is wrong with a version mostly shows at once."""


class CanaryWatch(Fact):
    """Say which canary to watch at which share, by what, and for how long."""

    model: str
    champion: int
    champion_since: int
    canary: int
    share: float
    epoch: int
    """The record that gave it this share."""
    since: datetime
    """When the canary began."""
    step_since: datetime
    """When it got this share."""
    gates: CanarySpec
    costs: dict[str, dict[str, float]] | None
    """What an answer costs, where that is to decide."""
    terms: ServingTerms
    run: str

    @property
    def told(self) -> str:
        """Name what is watched."""
        return f"version {self.canary} as canary of version {self.champion} at {self.share:.0%}"

    @property
    def until(self) -> datetime:
        """When the time is up."""
        return self.step_since + self.gates.length_of_step

    def left(self) -> timedelta:
        """How much of the time is left."""
        return max(self.until - datetime.now(timezone.utc), timedelta())

    @property
    def may_rise(self) -> bool:
        """Tell if the share was held as long as it has to be."""
        return datetime.now(timezone.utc) >= self.step_since + self.gates.hold

    @property
    def next_share(self) -> float | None:
        """Give the share that follows; None after the last."""
        return next((share for share in self.gates.shares if share > self.share), None)

    @property
    def poll_s(self) -> float:
        """How many seconds to wait between two looks."""
        is_stepping = self.gates.mode is CanaryMode.CANARY
        usual = self.gates.hold if is_stepping and self.gates.hold else self.gates.length_of_step
        is_young = datetime.now(timezone.utc) < self.step_since + YOUNG
        longest = YOUNG_PAUSE if is_young else LONGEST_PAUSE
        return min(max(usual.total_seconds() / LOOKS, 0.5), longest.total_seconds())

    @property
    def query(self) -> CanaryQuery:
        """What to ask the gateways."""
        return CanaryQuery(
            champion_version=self.champion,
            canary_version=self.canary,
            since=self.since,
            epoch=self.epoch,
            block_s=max(round(self.gates.block.total_seconds()), 1),
            costs=self.costs,
        )

    def is_about(self, record: Deployment | None) -> bool:
        """Tell whether this is still the newest record."""
        return record is not None and record.canary is not None and record.epoch == self.epoch

    def judge(self, report: CanaryReport | None, *, is_over: bool) -> Judgement:
        """Judge by the mode; a report about anything else is none."""
        asked = (self.champion, self.canary, self.epoch)
        if report is not None and (report.champion_version, report.canary_version, report.epoch) != asked:
            report = None
        if self.gates.mode is CanaryMode.AB:
            return judge_ab(report, self.gates, is_over=is_over)
        return judge_step(report, self.gates, self.share)


class CanarySeen(Fact):
    """Say how a watch ended, with the last report that there was."""

    watch: CanaryWatch
    ending: Ending
    report: CanaryReport | None
    problem: str | None = None
    """Why the last look saw nothing, or what replaced the canary."""

    def judge(self) -> Judgement:
        """Judge the report, and how the watch ended."""
        watch = self.watch
        judged = watch.judge(self.report, is_over=self.ending is Ending.TIME_IS_UP)
        gone = self.problem or "another decision replaced the record that gave it its callers"
        overtaken = f"version {watch.canary} is no canary any more: {gone}"
        asked = asked_of_ending(self.ending, self.problem, overtaken, watch.gates.grace.total_seconds())
        results = judged.results if asked is None else (asked, *judged.results)
        return Judgement(verdict=combine(results), results=results)
