"""Judge a version by what it did on live requests: a pure function of what the gateways' logs say."""

from understudy.contract.histograms import p95_ms, population_stability_index
from understudy.contract.judge_live_loss import judge_live_loss
from understudy.contract.judgement import GateResult, Judgement, combine
from understudy.contract.live_contest import Contest, contest_of, unanswered
from understudy.contract.serving import LATENCY_EDGES_MS, RehearsalReport
from understudy.contract.serving_spec import GuardSpec, RehearsalGates
from understudy.contract.words import Verdict


def judge_rehearsal(report: RehearsalReport | None, gates: RehearsalGates) -> Judgement:
    """Ask whether the challenger, which mirrors, does as well as the champion."""
    if report is None:
        return _nothing_measured()
    return _judge(contest_of(report, gates, is_probation=False))


def judge_probation(report: RehearsalReport | None, gates: GuardSpec) -> Judgement:
    """Ask whether the champion does as well as the one before, which mirrors; FAILED is a breach.

    INCONCLUSIVE means to go on watching. What both versions fail at alike, such as requests that no model can answer,
    is no breach: taking the champion back would not mend it.
    """
    if report is None:
        return _nothing_measured()
    return _judge(contest_of(report, gates, is_probation=True))


def _judge(contest: Contest) -> Judgement:
    gates = contest.gates
    results = [_requests(contest), _errors(contest), _latency(contest), _memory(contest)]
    if gates.min_agreement is not None:
        results.append(_agreement(contest, gates.min_agreement))
    if gates.max_score_shift is not None:
        results.append(_score_shift(contest, gates.max_score_shift))
    if gates.min_labels:
        results.append(judge_live_loss(contest))
    return Judgement(verdict=combine(results), results=tuple(results))


def _requests(contest: Contest) -> GateResult:
    asked, needed = contest.candidate.asked, contest.gates.min_requests
    enough = asked >= needed
    more = "" if enough else f"; {needed:,} are needed, about {needed - asked:,} more"
    return GateResult(
        gate="requests",
        verdict=Verdict.PASSED if enough else Verdict.INCONCLUSIVE,
        measured=float(asked),
        bound=f"at least {needed:,} requests",
        sentence=f"{contest.candidate.name} was asked {asked:,} requests{more}",
    )


def _errors(contest: Contest) -> GateResult:
    candidate, baseline, bound = contest.candidate, contest.baseline, contest.gates.max_error_share
    share = _ratio(candidate.failed, candidate.asked)
    told = f"at most {bound:.2%} of the requests lost"
    if share is None or not 0 <= share <= 1:
        return unanswered("errors", told, "it is unknown how many requests were lost")
    reasons = _reasons(contest)
    sentence = f"{candidate.name} lost {candidate.failed:,} of {candidate.asked:,} requests ({share:.2%}{reasons})"
    others = _ratio(baseline.tally.errors, baseline.tally.requests)
    if share <= bound:
        verdict = Verdict.PASSED
    elif contest.is_probation and others is not None and others >= share:
        verdict, sentence = Verdict.INCONCLUSIVE, f"{sentence}, and {baseline.name} did no better ({others:.2%})"
    else:
        verdict, sentence = Verdict.FAILED, f"{sentence}, {told}"
    return _if_enough(
        contest, GateResult(gate="errors", verdict=verdict, measured=share, bound=told, sentence=sentence)
    )


def _reasons(contest: Contest) -> str:
    counted = {} if contest.is_probation else contest.report.unpaired
    listed = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in sorted(counted.items()) if count)
    return f"; {listed}" if listed else ""


def _latency(contest: Contest) -> GateResult:
    bound = contest.gates.max_latency_ratio
    told = f"at most {bound:g} times as long at the 95th percentile"
    counts = [sum(side.tally.score_ms) for side in (contest.candidate, contest.baseline)]
    if min(counts) < contest.gates.min_requests:
        return unanswered("latency", told, f"only {min(counts):,} answers were timed so far")
    took, usual = p95_ms(contest.candidate.tally.score_ms), p95_ms(contest.baseline.tally.score_ms)
    if took is None or usual is None:
        return unanswered("latency", told, "the 95th percentile of the scoring times is unknown")
    slowest = LATENCY_EDGES_MS[-1]
    ratio = took / usual
    if usual >= slowest or (took >= slowest and ratio <= bound):
        return unanswered("latency", told, f"answers take longer than {slowest:,.0f} ms, beyond what is counted")
    return GateResult(
        gate="latency",
        verdict=Verdict.PASSED if ratio <= bound else Verdict.FAILED,
        measured=ratio,
        bound=told,
        sentence=f"{contest.candidate.name} scores within {took:.3g} ms at the 95th percentile, {ratio:.2g} times "
        f"{contest.baseline.name}'s {usual:.3g} ms; {told}",
    )


def _memory(contest: Contest) -> GateResult:
    bound = contest.gates.max_memory_ratio
    told = f"at most {bound:g} times the memory"
    used, usual = contest.candidate.tally.rss_bytes, contest.baseline.tally.rss_bytes
    ratio = _ratio(used, usual)
    if ratio is None or ratio <= 0:
        return unanswered("memory", told, "the memory that both versions use is unknown")
    return _if_enough(
        contest,
        GateResult(
            gate="memory",
            verdict=Verdict.PASSED if ratio <= bound else Verdict.FAILED,
            measured=ratio,
            bound=told,
            sentence=f"{contest.candidate.name} uses {ratio:.2g} times {contest.baseline.name}'s memory; {told}",
        ),
    )


def _agreement(contest: Contest, bound: float) -> GateResult:
    report, told = contest.report, f"at least {bound:.1%} of the rows answered alike"
    share = _ratio(report.agreeing_rows, report.rows)
    if share is None or not 0 <= share <= 1:
        return unanswered("agreement", told, "no rows were answered by both versions")
    result = GateResult(
        gate="agreement",
        verdict=Verdict.PASSED if share >= bound else Verdict.FAILED,
        measured=share,
        bound=told,
        sentence=f"both versions answer {share:.1%} of {report.rows:,} rows alike; {told}",
    )
    return _if_paired(contest, result)


def _score_shift(contest: Contest, bound: float) -> GateResult:
    report, told = contest.report, f"a population stability index of at most {bound:g}"
    index = (
        population_stability_index(report.champion_scores, report.mirror_scores)
        if len(report.champion_scores) == len(report.score_edges) + 1
        else None
    )
    if index is None:
        return unanswered("score_shift", told, "the scores of both versions were not counted over the same edges")
    result = GateResult(
        gate="score_shift",
        verdict=Verdict.PASSED if index <= bound else Verdict.FAILED,
        measured=index,
        bound=told,
        sentence=f"both versions' scores differ by a population stability index of {index:.3g}; {told}",
    )
    return _if_paired(contest, result)


def _if_enough(contest: Contest, result: GateResult) -> GateResult:
    """Let a question rest until there were enough requests, so that a rough start decides nothing."""
    if contest.candidate.asked >= contest.gates.min_requests:
        return result
    return result.model_copy(update={"verdict": Verdict.INCONCLUSIVE})


def _if_paired(contest: Contest, result: GateResult) -> GateResult:
    """Let a question rest until enough requests were answered by both."""
    if contest.report.pairs >= contest.gates.min_requests:
        return result
    return result.model_copy(update={"verdict": Verdict.INCONCLUSIVE})


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole is not None and whole > 0 else None


def _nothing_measured() -> Judgement:
    result = unanswered("report", "a report of all gateways", "no gateway reported what both versions did")
    return Judgement(verdict=Verdict.INCONCLUSIVE, results=(result,))
