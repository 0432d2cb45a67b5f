"""Judge a challenger by what it did for its share of the callers: a pure function of what the gateways' logs say."""

import math

from understudy.contract.canary_split import baseline_share
from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.judgement import GateResult, Judgement, combine
from understudy.contract.judges.live_loss import judge_live_loss
from understudy.contract.judges.value import judge_harm, judge_value
from understudy.contract.live.canary_report import CanaryReport
from understudy.contract.live.contest import Contest, Side, are_sound, unanswered
from understudy.contract.live.questions import errors, latency, memory, nothing_measured, requests, score_shift
from understudy.contract.words import Verdict

MISMATCH_P = 0.0001
"""Below this probability a mismatch is no chance; small, because one looks again and again."""


def judge_step(report: CanaryReport | None, gates: CanarySpec, share: float) -> Judgement:
    """Ask whether the share may rise, or after the last step whether the challenger may be promoted.

    Where the canary answers everybody, nobody is left to compare it with: errors are asked about, and the labels of all
    steps before.
    """
    if report is None:
        return nothing_measured()
    contest = _contest(report, gates)
    results = [requests(contest), errors(contest)]
    if baseline_share(share) > 0:
        results += _compared(report, contest, gates, share)
    if gates.min_labels:
        results.append(judge_live_loss(contest))
    return Judgement(verdict=combine(results), results=tuple(results))


def judge_ab(report: CanaryReport | None, gates: CanarySpec, *, is_over: bool) -> Judgement:
    """Ask at the horizon whether the challenger is worth its promotion, and before it only whether it does harm."""
    if report is None:
        return nothing_measured()
    contest = _contest(report, gates)
    results = [requests(contest), errors(contest), *_compared(report, contest, gates, gates.share)]
    results += judge_harm(report, gates)
    results.append(judge_value(report, gates, is_over=is_over))
    return Judgement(verdict=combine(results), results=tuple(results))


def _compared(report: CanaryReport, contest: Contest, gates: CanarySpec, share: float) -> list[GateResult]:
    asked = [_assignment(report, share), latency(contest), memory(contest)]
    if gates.max_score_shift is not None:
        asked.append(score_shift(contest, gates.max_score_shift))
    return asked


def _assignment(report: CanaryReport, share: float) -> GateResult:
    """Ask whether both sides got the share of requests that they should have.

    A chi-square test of one degree of freedom. Keys are assigned, not requests: of a key that asks often, all requests
    are on one side, so the variance is that of the keys' squared counts. A mismatch says that requests or their log
    rows went astray on one side, and then no comparison of the two can be believed, whatever it says.
    """
    told = f"a split that chance explains with a probability of at least {MISMATCH_P:g}"
    mine, theirs = report.canary.tally.requests, report.baseline.tally.requests
    expected = share / (share + baseline_share(share))
    spread = sum(arm.loose + arm.squares for arm in (report.canary, report.baseline))
    variance = expected * (1 - expected) * spread
    if min(mine, theirs) < 0 or not mine + theirs or not variance > 0 or not math.isfinite(variance):
        return unanswered("assignment", told, "it is unknown how many requests either side got")
    away = mine - expected * (mine + theirs)
    chance = math.erfc(math.sqrt(away * away / variance / 2))
    is_mismatch = not chance >= MISMATCH_P
    more = " than chance explains: its numbers cannot be believed" if is_mismatch else ""
    return GateResult(
        gate="assignment",
        verdict=Verdict.INCONCLUSIVE if is_mismatch else Verdict.PASSED,
        measured=chance,
        what="probability",
        basis="a probability, not an estimate",
        bound=told,
        sentence=f"the canary got {mine:,} and its baseline {theirs:,} requests where {expected:.0%} were expected, "
        + (f"further off{more}" if is_mismatch else "as chance has it"),
    )


def _contest(report: CanaryReport, gates: CanarySpec) -> Contest:
    blocks = [
        block
        for block in report.blocks
        if min(block.canary.rows, block.baseline.rows) > 0 and block.start + gates.block <= report.until
    ]
    canary, baseline = (
        Side(
            name,
            arm.tally,
            tuple(losses.loss / losses.rows for losses in lost),
            asked=arm.tally.requests,
            failed=arm.tally.errors,
            scores=arm.scores,
        )
        for name, arm, lost in (
            (f"version {report.canary_version}", report.canary, [block.canary for block in blocks]),
            (f"version {report.champion_version}", report.baseline, [block.baseline for block in blocks]),
        )
    )
    return Contest(
        gates=gates,
        candidate=canary,
        baseline=baseline,
        compared=min(canary.asked, baseline.asked),
        score_bins=len(report.score_edges) + 1,
        reasons=report.canary.lost,
        is_excused=True,
        labels=min(
            sum(block.canary.rows for block in report.blocks), sum(block.baseline.rows for block in report.blocks)
        ),
        block_rows=min(sum(block.canary.rows for block in blocks), sum(block.baseline.rows for block in blocks)),
        has_sound_losses=all(
            are_sound(side.rows, side.loss) for block in report.blocks for side in (block.canary, block.baseline)
        ),
    )
