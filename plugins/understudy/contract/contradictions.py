"""Find where an evaluation report contradicts itself: such a report decides nothing, whatever its numbers say."""

from collections.abc import Iterator
from typing import NamedTuple

from understudy.contract.judgement import is_usable
from understudy.contract.metrics import METRICS
from understudy.contract.reports import Comparison, EvaluationReport, Number

ROUNDING = 1e-6
"""By how much a number may miss its bound: sums of many floats are not exact."""


class Contradiction(NamedTuple):
    """Name what cannot be, and why."""

    of: str
    sentence: str


def contradictions(report: EvaluationReport) -> Iterator[Contradiction]:
    """List what cannot be true of one and the same evaluation."""
    if not 0 <= report.leaked_rows <= report.rows:
        yield Contradiction("no_leak", f"{report.leaked_rows:,} of {report.rows:,} rows cannot have leaked")
    compared = [(c.metric, c) for c in report.comparisons]
    compared += [(f"beats_{name}", c) for name, c in sorted(report.references.items())]
    compared += [(f"slice.{s.column}={s.value}", s.comparison) for s in report.slices]
    for of, comparison in compared:
        for sentence in _within(comparison, report):
            yield Contradiction(of, f"{of}: {sentence}, so the report contradicts itself")
    for name, value in sorted(report.measurements.items()):
        if _is_impossible(name, value):
            yield Contradiction(name, f"{name} cannot be {value:g}: it is {METRICS[name].range_words}")


def _within(c: Comparison, report: EvaluationReport) -> Iterator[str]:
    measured = [n for n in (c.challenger, c.other, c.gain, c.gain_low, c.gain_high) if is_usable(n)]
    if measured and c.rows <= 0:
        yield f"it was measured on {c.rows:,} rows"
    if c.rows > report.rows:
        yield f"it rests on {c.rows:,} of {report.rows:,} rows"
    if any(is_usable(bound) for bound in (c.gain, c.gain_low, c.gain_high)) and c.blocks <= 0:
        yield f"its gain rests on {c.blocks} blocks"
    if c.blocks > max(c.rows, 0):
        yield f"{c.blocks:,} blocks cannot be made of {c.rows:,} rows"
    for value in (c.challenger, c.other):
        if _is_impossible(c.metric, value):
            yield f"{c.metric} cannot be {value:g}, as it is {METRICS[c.metric].range_words}"
    if _above(c.gain_low, c.gain_high):
        yield f"its interval ends at {c.gain_high:g}, before it begins at {c.gain_low:g}"
    elif _above(c.gain_low, c.gain) or _above(c.gain, c.gain_high):
        yield f"the gain {c.gain:g} lies outside of its interval"


def _is_impossible(metric: str, value: Number) -> bool:
    known = METRICS.get(metric)
    return known is not None and (_above(known.lowest, value) or _above(value, known.highest))


def _above(one: Number, other: Number) -> bool:
    if one is None or other is None or not (is_usable(one) and is_usable(other)):
        return False
    return one - other > ROUNDING * max(1.0, abs(one), abs(other))
