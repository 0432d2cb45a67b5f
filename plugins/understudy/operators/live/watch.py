"""What is watched on live traffic, and what was seen when the watching ended."""

from datetime import datetime, timedelta, timezone

from understudy.contract.declaration.serving import GuardSpec, ShadowSpec
from understudy.contract.declared import Fact
from understudy.contract.judgement import GateResult, Judgement, combine
from understudy.contract.judges.rehearsal import judge_probation, judge_rehearsal
from understudy.contract.release import Deployment
from understudy.contract.serving import RehearsalQuery, RehearsalReport, ServingTerms
from understudy.contract.words import Verdict, Word

LOOKS = 100
"""How often a watch looks at least, where that is not more often than twice a second."""


class Ending(Word):
    """Say why the watching ended."""

    DECIDED = "decided"
    TIME_IS_UP = "time_is_up"
    OVERTAKEN = "overtaken"  # the record no longer compares these two versions
    OUT_OF_SIGHT = "out_of_sight"  # for longer than a new champion may go unwatched, nobody could see it answer


class Watch(Fact):
    """Say which two versions to compare, by what, and for how long."""

    model: str
    champion: int
    champion_since: int
    mirror: int
    since: datetime
    gates: ShadowSpec | GuardSpec
    terms: ServingTerms
    run: str
    grace_s: float = 60.0
    """How long a new champion's answers may be out of sight before that counts as a breach."""

    @property
    def told(self) -> str:
        """Name what is watched."""
        return f"versions {self.champion} and {self.mirror}"

    @property
    def is_probation(self) -> bool:
        """Tell a new champion's probation from a challenger's rehearsal."""
        return isinstance(self.gates, GuardSpec)

    @property
    def length(self) -> timedelta:
        """How long to watch at most."""
        return self.gates.probation if isinstance(self.gates, GuardSpec) else self.gates.deadline

    @property
    def until(self) -> datetime:
        """When the time is up."""
        return self.since + self.length

    def left(self) -> timedelta:
        """How much of the time is left."""
        return max(self.until - datetime.now(timezone.utc), timedelta())

    @property
    def poll_s(self) -> float:
        """How many seconds to wait between two looks: a breach must be seen soon, a rehearsal can wait."""
        return min(max(self.length.total_seconds() / LOOKS, 0.5), 10.0 if self.is_probation else 60.0)

    @property
    def query(self) -> RehearsalQuery:
        """What to ask the gateways."""
        return RehearsalQuery(
            champion_version=self.champion,
            mirror_version=self.mirror,
            since=self.since,
            block_s=max(round(self.gates.block.total_seconds()), 1),
        )

    def is_about(self, record: Deployment | None) -> bool:
        """Tell whether the record still has these two versions answer the same requests."""
        return (
            record is not None
            and record.mirror is not None
            and (record.champion.version, record.champion_since, record.mirror.version)
            == (self.champion, self.champion_since, self.mirror)
        )

    def judge(self, report: RehearsalReport | None) -> Judgement:
        """Judge as what is being watched."""
        if report is not None and (report.champion_version, report.mirror_version) != (self.champion, self.mirror):
            report = None
        if isinstance(self.gates, GuardSpec):
            return judge_probation(report, self.gates)
        return judge_rehearsal(report, self.gates)


class Seen(Fact):
    """Say how a watch ended, with the last report that there was."""

    watch: Watch
    ending: Ending
    report: RehearsalReport | None
    problem: str | None = None
    """Why the last look saw nothing."""

    def judge(self) -> Judgement:
        """Judge the report, and how the watch ended."""
        judged = self.watch.judge(self.report)
        asked = self._asked_of_the_watch()
        results = judged.results if asked is None else (asked, *judged.results)
        return Judgement(verdict=combine(results), results=results)

    def _asked_of_the_watch(self) -> GateResult | None:
        watch = self.watch
        gone = f"version {watch.champion} is no longer compared with version {watch.mirror}: another decision replaced "
        return asked_of_ending(self.ending, self.problem, f"{gone}the one that was watched", watch.grace_s)


def asked_of_ending(ending: Ending, problem: str | None, overtaken: str, grace_s: float) -> GateResult | None:
    """Judge how a watch ended, where that says something of its own.

    :param overtaken: what to say of a watch whose record is over.
    :param problem: why the last look saw nothing.
    """
    if ending is Ending.OVERTAKEN:
        return _answer("unchallenged", Verdict.INCONCLUSIVE, "both versions stay", overtaken)
    if ending is Ending.OUT_OF_SIGHT:
        sentence = f"for more than {grace_s:g} s nobody could see it answer: {problem}"
        return _answer("reachable", Verdict.FAILED, f"a look every {grace_s:g} s", sentence)
    if problem is not None:
        return _answer("reachable", Verdict.INCONCLUSIVE, "a look at the end", f"the last look failed: {problem}")
    return None


def _answer(gate: str, verdict: Verdict, bound: str, sentence: str) -> GateResult:
    return GateResult(gate=gate, verdict=verdict, bound=bound, sentence=sentence)
