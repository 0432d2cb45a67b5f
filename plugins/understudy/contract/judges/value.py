"""Judge what a challenger's answers were worth against the champion's, on the labelled rows of different callers."""

import math
from typing import NamedTuple

from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.declared import format_duration
from understudy.contract.judgement import GateResult, is_usable
from understudy.contract.judges.live_loss import ROWS_PER_BLOCK
from understudy.contract.live.canary_report import ArmLosses, CanaryReport
from understudy.contract.live.contest import are_sound, unanswered
from understudy.contract.sequential import MIN_VALUES, Interval, confidence_sequence, fixed_interval
from understudy.contract.words import Verdict


class _Worth(NamedTuple):
    """What both sides were worth per labelled row, block by block; more is better."""

    unit: str
    gains: tuple[float, ...]
    usual: float
    """How much the champion is worth or loses, as a size."""
    rows: int
    """Labelled rows of the side that has fewer."""


def judge_harm(report: CanaryReport, gates: CanarySpec) -> list[GateResult]:
    """Say that it is provably worse than the margin allows, by an interval that holds however often one looks."""
    worth = _worth(report, gates)
    if worth is None or not _suffices(worth, gates):
        return []
    interval = confidence_sequence(worth.gains, gates.alpha)
    allowed = gates.margin * worth.usual
    if interval is None or not interval.high < -allowed:
        return []
    told = f"not provably more than {gates.margin:.1%} worse at any look"
    sentence = f"{_measured(report, worth, interval)}, provably more than the {allowed:.3g} that may be lost"
    return [_answer("harm", Verdict.FAILED, told, worth, interval, sentence)]


def judge_value(report: CanaryReport, gates: CanarySpec, *, is_over: bool) -> GateResult:
    """Decide by the difference in value at the horizon; before it, nothing is decided."""
    told = (
        f"provably more than {gates.min_gain:g} per row better at the horizon"
        if gates.min_gain is not None
        else f"provably not more than {gates.margin:.1%} worse at the horizon"
    )
    if not is_over:
        return unanswered("value", told, f"both answer until the horizon of {format_duration(gates.horizon)}")
    worth = _worth(report, gates)
    if worth is None:
        return unanswered("value", told, "what the labelled rows were worth is no usable number")
    if not _suffices(worth, gates):
        return unanswered(
            "value",
            told,
            f"{worth.rows:,} labelled rows of each side in {len(worth.gains)} finished blocks of "
            f"{format_duration(gates.block)} do not suffice",
        )
    interval = fixed_interval(worth.gains, gates.alpha)
    if interval is None:
        return unanswered("value", told, "what the labelled rows were worth is no usable number")
    bound = gates.min_gain if gates.min_gain is not None else -gates.margin * worth.usual
    is_met = interval.low > bound if gates.min_gain is not None else interval.low >= bound
    missed = Verdict.FAILED if interval.high < bound else Verdict.INCONCLUSIVE
    verdict = Verdict.PASSED if is_met else missed
    return _answer("value", verdict, told, worth, interval, f"{_measured(report, worth, interval)}; asked for: {told}")


def _worth(report: CanaryReport, gates: CanarySpec) -> _Worth | None:
    """Take the declared value, or the loss where none is declared; None where it is no usable number."""
    blocks = [
        block
        for block in report.blocks
        if min(block.canary.rows, block.baseline.rows) > 0 and block.start + gates.block <= report.until
    ]
    sides = [side for block in blocks for side in (block.canary, block.baseline)]
    if not all(are_sound(side.rows, side.loss) for side in sides):
        return None
    if report.is_valued and not all(is_usable(side.value) for side in sides):
        return None
    mine = [_per_row(block.canary, is_valued=report.is_valued) for block in blocks]
    usual = [_per_row(block.baseline, is_valued=report.is_valued) for block in blocks]
    size = abs(sum(usual) / len(usual)) if usual else 0.0
    if not math.isfinite(size):
        return None
    return _Worth(
        unit="value" if report.is_valued else "less loss",
        gains=tuple(a - b for a, b in zip(mine, usual, strict=True)),
        usual=size,
        rows=min(sum(block.canary.rows for block in blocks), sum(block.baseline.rows for block in blocks)),
    )


def _per_row(side: ArmLosses, *, is_valued: bool) -> float:
    return (side.value or 0.0) / side.rows if is_valued else -side.loss / side.rows


def _suffices(worth: _Worth, gates: CanarySpec) -> bool:
    blocks = len(worth.gains)
    return blocks >= MIN_VALUES and worth.rows >= max(ROWS_PER_BLOCK * blocks, gates.min_labels)


def _measured(report: CanaryReport, worth: _Worth, interval: Interval) -> str:
    return (
        f"version {report.canary_version} gives {interval.mean:+.3g} {worth.unit} per row than version "
        f"{report.champion_version} ({interval.low:+.3g} to {interval.high:+.3g}, over {interval.values} blocks)"
    )


def _answer(  # noqa: PLR0917 - as the fields
    gate: str, verdict: Verdict, told: str, worth: _Worth, interval: Interval, sentence: str
) -> GateResult:
    return GateResult(
        gate=gate,
        verdict=verdict,
        measured=interval.mean,
        what=f"{'more ' if worth.unit == 'value' else ''}{worth.unit} per row",
        low=interval.low,
        high=interval.high,
        bound=told,
        sentence=sentence,
    )
