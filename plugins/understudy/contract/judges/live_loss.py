"""Judge the losses on labels that came later, in a way that stays true however often one looks."""

from understudy.contract.declared import format_duration
from understudy.contract.judgement import GateResult, Lack, is_usable
from understudy.contract.live.contest import Contest, unanswered
from understudy.contract.sequential import MIN_VALUES, Interval, confidence_sequence, values_needed
from understudy.contract.words import Lacking, Verdict

ROWS_PER_BLOCK = 10  # means of fewer rows are too skewed for an interval that rests on the central limit theorem


def judge_live_loss(contest: Contest) -> GateResult:
    """Ask whether the candidate provably loses not much more per labelled row than the baseline."""
    gates, losses = contest.gates, contest.baseline.losses
    told = f"provably not more than {gates.margin:.1%} of {contest.baseline.name}'s loss worse"
    if contest.labels < gates.min_labels:
        more = gates.min_labels - contest.labels
        return unanswered(
            "quality",
            told,
            f"{contest.labels:,} labelled rows so far; needs about {more:,} more labels",
            Lack(of=Lacking.LABELS, so_far=contest.labels, more=more),
        )
    length, count = format_duration(gates.block), len(losses)
    if count < MIN_VALUES:
        return unanswered(
            "quality",
            told,
            f"the labels lie in {count} finished blocks of {length}; {MIN_VALUES} are needed",
            Lack(of=Lacking.BLOCKS, so_far=count, more=MIN_VALUES - count),
        )
    if contest.block_rows < ROWS_PER_BLOCK * count:
        return unanswered(
            "quality",
            told,
            f"blocks of {length} hold {contest.block_rows / count:.1f} labelled rows on average; {ROWS_PER_BLOCK} are "
            "needed",
        )
    lost = [mine - theirs for mine, theirs in zip(contest.candidate.losses, losses, strict=True)]
    interval = confidence_sequence(lost, gates.alpha)
    usual = sum(losses) / count
    if interval is None or not is_usable(usual) or not contest.has_sound_losses:
        return unanswered("quality", told, "the losses are no usable numbers")
    return _judge_loss(
        contest, interval, allowed=gates.margin * usual, told=told, rows_per_block=contest.block_rows / count
    )


def _judge_loss(
    contest: Contest, interval: Interval, *, allowed: float, told: str, rows_per_block: float
) -> GateResult:
    measured = (
        f"{contest.candidate.name} loses {interval.mean:+.3g} per row against {contest.baseline.name} "
        f"({interval.low:+.3g} to {interval.high:+.3g}, over {interval.values} blocks)"
    )
    lack = None
    if interval.high <= allowed:
        verdict, sentence = Verdict.PASSED, f"{measured}; {allowed:.3g} is allowed"
    elif interval.low > allowed:
        verdict, sentence = Verdict.FAILED, f"{measured}, provably more than the {allowed:.3g} that is allowed"
    else:
        values = values_needed(interval, allowed, contest.gates.alpha)
        hope = "no number of labels would tell, as it lies on the bound"
        if values is not None:
            lack = Lack(of=Lacking.LABELS, so_far=contest.labels, more=max(round(values * rows_per_block), 1))
            hope = f"needs about {lack.more:,} more labels"
        verdict, sentence = Verdict.INCONCLUSIVE, f"{measured}; whether that is within {allowed:.3g} is open: {hope}"
    return GateResult(
        gate="quality",
        verdict=verdict,
        measured=interval.mean,
        what="more loss per row",
        low=interval.low,
        high=interval.high,
        bound=told,
        sentence=sentence,
        lack=lack,
    )
