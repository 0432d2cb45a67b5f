"""The questions that are asked of a version that answered live requests, whoever it is compared with."""

from understudy.contract.judgement import COUNTED, SINGLE, GateResult, Judgement, Lack
from understudy.contract.live.contest import Contest, unanswered
from understudy.contract.live.histograms import p95_ms, population_stability_index
from understudy.contract.serving import LATENCY_EDGES_MS
from understudy.contract.words import Lacking, Verdict


def requests(contest: Contest) -> GateResult:
    """Ask whether it was asked often enough to say anything."""
    asked, needed = contest.candidate.asked, contest.gates.min_requests
    enough = asked >= needed
    more = "" if enough else f"; {needed:,} are needed, about {needed - asked:,} more"
    return GateResult(
        gate="requests",
        verdict=Verdict.PASSED if enough else Verdict.INCONCLUSIVE,
        measured=float(asked),
        what="requests",
        basis=COUNTED,
        bound=f"at least {needed:,} requests",
        sentence=f"{contest.candidate.name} was asked {asked:,} requests{more}",
        lack=None if enough else Lack(of=Lacking.REQUESTS, so_far=asked, more=needed - asked),
    )


def errors(contest: Contest) -> GateResult:
    """Ask which share of its requests it lost."""
    candidate, baseline, bound = contest.candidate, contest.baseline, contest.gates.max_error_share
    share = ratio(candidate.failed, candidate.asked)
    told = f"at most {bound:.2%} of the requests lost"
    if share is None or not 0 <= share <= 1:
        return unanswered("errors", told, "it is unknown how many requests were lost")
    reasons = _reasons(contest)
    sentence = f"{candidate.name} lost {candidate.failed:,} of {candidate.asked:,} requests ({share:.2%}{reasons})"
    others = ratio(baseline.tally.errors, baseline.tally.requests)
    if share <= bound:
        verdict = Verdict.PASSED
    elif contest.is_excused and others is not None and others >= share:
        verdict, sentence = Verdict.INCONCLUSIVE, f"{sentence}, and {baseline.name} did no better ({others:.2%})"
    else:
        verdict, sentence = Verdict.FAILED, f"{sentence}, {told}"
    return _if_enough(
        contest,
        GateResult(
            gate="errors",
            verdict=verdict,
            measured=share,
            what="share of the requests",
            basis=COUNTED,
            bound=told,
            sentence=sentence,
        ),
    )


def _reasons(contest: Contest) -> str:
    counted = sorted(contest.reasons.items())
    listed = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in counted if count)
    return f"; {listed}" if listed else ""


def latency(contest: Contest) -> GateResult:
    """Ask how much longer it takes than the other."""
    bound = contest.gates.max_latency_ratio
    told = f"at most {bound:g} times as long at the 95th percentile"
    counts = [sum(side.tally.score_ms) for side in (contest.candidate, contest.baseline)]
    if min(counts) < contest.gates.min_requests:
        return unanswered("latency", told, f"only {min(counts):,} answers were timed so far")
    took, usual = p95_ms(contest.candidate.tally.score_ms), p95_ms(contest.baseline.tally.score_ms)
    if took is None or usual is None:
        return unanswered("latency", told, "the 95th percentile of the scoring times is unknown")
    slowest = LATENCY_EDGES_MS[-1]
    times = took / usual
    if usual >= slowest or (took >= slowest and times <= bound):
        return unanswered("latency", told, f"answers take longer than {slowest:,.0f} ms, beyond what is counted")
    return GateResult(
        gate="latency",
        verdict=Verdict.PASSED if times <= bound else Verdict.FAILED,
        measured=times,
        what="times as long",
        basis=f"read off {min(counts):,} timed answers",
        bound=told,
        sentence=f"{contest.candidate.name} scores within {took:.3g} ms at the 95th percentile, {times:.2g} times "
        f"{contest.baseline.name}'s {usual:.3g} ms; {told}",
    )


def memory(contest: Contest) -> GateResult:
    """Ask how much more memory it uses than the other."""
    bound = contest.gates.max_memory_ratio
    told = f"at most {bound:g} times the memory"
    used, usual = contest.candidate.tally.rss_bytes, contest.baseline.tally.rss_bytes
    times = ratio(used, usual)
    if times is None or times <= 0:
        return unanswered("memory", told, "the memory that both versions use is unknown")
    return _if_enough(
        contest,
        GateResult(
            gate="memory",
            verdict=Verdict.PASSED if times <= bound else Verdict.FAILED,
            measured=times,
            what="times the memory",
            basis=SINGLE,
            bound=told,
            sentence=f"{contest.candidate.name} uses {times:.2g} times {contest.baseline.name}'s memory; {told}",
        ),
    )


def score_shift(contest: Contest, bound: float) -> GateResult:
    """Ask whether both versions give about the same scores."""
    told = f"a population stability index of at most {bound:g}"
    usual, other = contest.baseline.scores, contest.candidate.scores
    index = population_stability_index(usual, other) if len(usual) == contest.score_bins else None
    if index is None:
        return unanswered("score_shift", told, "the scores of both versions were not counted over the same edges")
    result = GateResult(
        gate="score_shift",
        verdict=Verdict.PASSED if index <= bound else Verdict.FAILED,
        measured=index,
        what="population stability index",
        basis=f"counted over {sum(other):,} scores",
        bound=told,
        sentence=f"both versions' scores differ by a population stability index of {index:.3g}; {told}",
    )
    return if_compared(contest, result)


def nothing_measured() -> Judgement:
    """Leave everything open where there is no report."""
    result = unanswered("report", "a report of all gateways", "no gateway reported what both versions did")
    return Judgement(verdict=Verdict.INCONCLUSIVE, results=(result,))


def if_compared(contest: Contest, result: GateResult) -> GateResult:
    """Let a question rest until enough requests can be compared."""
    if contest.compared >= contest.gates.min_requests:
        return result
    return result.model_copy(update={"verdict": Verdict.INCONCLUSIVE})


def _if_enough(contest: Contest, result: GateResult) -> GateResult:
    """Let a question rest until there were enough requests, so that a rough start decides nothing."""
    if contest.candidate.asked >= contest.gates.min_requests:
        return result
    return result.model_copy(update={"verdict": Verdict.INCONCLUSIVE})


def ratio(part: float | None, whole: float | None) -> float | None:
    """Divide; None where there is nothing to divide by."""
    return part / whole if part is not None and whole is not None and whole > 0 else None
