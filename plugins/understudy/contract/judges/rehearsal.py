"""Judge a version by what it did on live requests: a pure function of what the gateways' logs say."""

from understudy.contract.declaration.serving import GuardSpec, RehearsalGates
from understudy.contract.judgement import COUNTED, GateResult, Judgement, combine
from understudy.contract.judges.live_loss import judge_live_loss
from understudy.contract.live.contest import Contest, contest_of, unanswered
from understudy.contract.live.questions import (
    errors,
    if_compared,
    latency,
    memory,
    nothing_measured,
    ratio,
    requests,
    score_shift,
)
from understudy.contract.serving import RehearsalReport
from understudy.contract.words import Verdict


def judge_rehearsal(report: RehearsalReport | None, gates: RehearsalGates) -> Judgement:
    """Ask whether the challenger, which mirrors, does as well as the champion."""
    if report is None:
        return nothing_measured()
    return _judge(report, contest_of(report, gates, is_probation=False), gates)


def judge_probation(report: RehearsalReport | None, gates: GuardSpec) -> Judgement:
    """Ask whether the champion does as well as the one before, which mirrors; FAILED is a breach.

    INCONCLUSIVE means to go on watching. What both versions fail at alike, such as requests that no model can answer,
    is no breach: taking the champion back would not mend it.
    """
    if report is None:
        return nothing_measured()
    return _judge(report, contest_of(report, gates, is_probation=True), gates)


def _judge(report: RehearsalReport, contest: Contest, gates: RehearsalGates) -> Judgement:
    results = [requests(contest), errors(contest), latency(contest), memory(contest)]
    if gates.min_agreement is not None:
        results.append(_agreement(report, contest, gates.min_agreement))
    if gates.max_score_shift is not None:
        results.append(score_shift(contest, gates.max_score_shift))
    if gates.min_labels:
        results.append(judge_live_loss(contest))
    return Judgement(verdict=combine(results), results=tuple(results))


def _agreement(report: RehearsalReport, contest: Contest, bound: float) -> GateResult:
    told = f"at least {bound:.1%} of the rows answered alike"
    share = ratio(report.agreeing_rows, report.rows)
    if share is None or not 0 <= share <= 1:
        return unanswered("agreement", told, "no rows were answered by both versions")
    result = GateResult(
        gate="agreement",
        verdict=Verdict.PASSED if share >= bound else Verdict.FAILED,
        measured=share,
        what="share of the rows",
        basis=COUNTED,
        bound=told,
        sentence=f"both versions answer {share:.1%} of {report.rows:,} rows alike; {told}",
    )
    return if_compared(contest, result)
