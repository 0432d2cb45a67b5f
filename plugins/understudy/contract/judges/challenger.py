"""Judge a challenger: a pure function of what was measured and what was declared."""

from collections.abc import Callable, Sequence

from understudy.contract.contradictions import contradictions
from understudy.contract.declaration.gates import Gate
from understudy.contract.declaration.train import EvaluateSpec
from understudy.contract.judgement import COUNTED, SINGLE, GateResult, Judgement, combine, is_usable
from understudy.contract.metrics import METRICS
from understudy.contract.reports import Comparison, EvaluationReport, Number, SliceComparison
from understudy.contract.words import Verdict

MIN_BLOCKS = 8  # with fewer, the variance of a block mean is a guess


def judge(report: EvaluationReport, gates: Sequence[Gate], evaluate: EvaluateSpec) -> Judgement:
    """Answer every gate; the order of gates changes nothing but the order of the answers.

    Besides the declared gates, three questions are always asked: that no holdout row was trained on, that the
    challenger beats the reference models, and that no slice became worse. A report that contradicts itself is asked
    nothing.
    """
    if not gates:
        return Judgement(verdict=Verdict.INCONCLUSIVE, results=())
    has_champion = report.champion_version is not None
    impossible = [_missing(f"{found.of}.consistent", found.sentence) for found in contradictions(report)]
    if impossible:
        return Judgement(verdict=Verdict.INCONCLUSIVE, results=tuple(impossible), rubber_stamped=not has_champion)
    results = [_no_leak(report)]
    for gate in gates:
        quality = METRICS[gate.metric].is_quality
        results += (
            _judge_quality(gate, report, has_champion) if quality else _judge_measurement(gate, report, has_champion)
        )
    results += _references(report, evaluate)
    if has_champion:
        results += _slices(report, evaluate, next((g for g in gates if g.metric == report.primary), None))
    return Judgement(verdict=combine(results), results=tuple(results), rubber_stamped=not has_champion)


def _no_leak(report: EvaluationReport) -> GateResult:
    verdict = Verdict.PASSED if report.leaked_rows == 0 else Verdict.INCONCLUSIVE
    sentence = (
        "no holdout row was seen in training"
        if report.leaked_rows == 0
        else (
            f"{report.leaked_rows:,} of {report.rows:,} holdout rows were seen in training or lie in the embargo, "
            "so nothing can be concluded"
        )
    )
    return GateResult(
        gate="no_leak",
        verdict=verdict,
        measured=float(report.leaked_rows),
        what="rows",
        basis=COUNTED,
        bound="0 rows",
        sentence=sentence,
    )


def _judge_quality(gate: Gate, report: EvaluationReport, has_champion: bool) -> list[GateResult]:
    found = [c for c in report.comparisons if c.metric == gate.metric]
    if len(found) != 1 or not is_usable(found[0].challenger):
        return [_missing(gate.metric, f"{gate.metric} was not measured")]
    comparison = found[0]
    if comparison.rows < gate.min_rows:
        return [
            _missing(
                gate.metric,
                f"{gate.metric} rests on {comparison.rows:,} rows; {gate.min_rows:,} are needed",
                comparison.challenger,
            )
        ]
    results = _judge_bounds(
        gate, comparison.challenger, _few_blocks(comparison), (comparison.challenger_low, comparison.challenger_high)
    )
    if has_champion:
        results.append(_judge_gain(gate, comparison))
    return results or [_bare(gate, comparison)]


def _bare(gate: Gate, comparison: Comparison) -> GateResult:
    return GateResult(
        gate=gate.metric,
        verdict=Verdict.PASSED,
        measured=comparison.challenger,
        low=comparison.challenger_low,
        high=comparison.challenger_high,
        basis=_few_blocks(comparison),
        bound="no bound, and no champion yet",
        sentence=f"{gate.metric} is {_show(comparison.challenger)}; there is no bound and no champion to compare with",
    )


def _few_blocks(comparison: Comparison) -> str:
    few = f"{comparison.blocks} blocks of time are too few for an interval"
    return few if comparison.blocks < MIN_BLOCKS else ""


def _judge_bounds(
    gate: Gate, value: Number, basis: str, interval: tuple[Number, Number] = (None, None)
) -> list[GateResult]:
    results = []
    checks: list[tuple[str, float | None, Callable[[float, float], bool], str]] = [
        ("floor", gate.floor, lambda v, bound: v >= bound, "at least"),
        ("ceiling", gate.ceiling, lambda v, bound: v <= bound, "at most"),
    ]
    for name, bound, holds, words in checks:
        if bound is None:
            continue
        passed = value is not None and holds(value, bound)
        results.append(
            GateResult(
                gate=f"{gate.metric}.{name}",
                verdict=Verdict.PASSED if passed else Verdict.FAILED,
                measured=value,
                low=interval[0],
                high=interval[1],
                basis=basis,
                bound=f"{words} {bound:g}",
                sentence=f"{gate.metric} is {_show(value)}, {words} {bound:g} was asked for",
            )
        )
    return results


def _judge_gain(gate: Gate, c: Comparison) -> GateResult:
    name = f"{gate.metric}.gain"
    if not (is_usable(c.other) and is_usable(c.gain) and is_usable(c.gain_low) and is_usable(c.gain_high)):
        return _missing(name, f"the gain in {gate.metric} over the champion has no interval")
    if c.blocks < MIN_BLOCKS:
        return _missing(name, f"the gain in {gate.metric} rests on {c.blocks} blocks; {MIN_BLOCKS} are needed", c.gain)
    low, high = float(c.gain_low or 0.0), float(c.gain_high or 0.0)
    if gate.min_gain is not None:
        passed, bound = low > gate.min_gain, f"provably more than {gate.min_gain:g} better than the champion"
    else:
        allowed = -gate.margin * abs(float(c.other or 0.0))
        # A tie passes, also where margin is zero: newer data at equal quality is what a refresh is for.
        passed, bound = (
            low > allowed or low == high == 0.0,
            f"provably not more than {-allowed:.4g} worse than the champion",
        )
    return GateResult(
        gate=name,
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        measured=c.gain,
        low=low,
        high=high,
        bound=bound,
        sentence=f"{gate.metric} {_show(c.challenger)} against the champion's {_show(c.other)}: "
        f"gain {_show(c.gain)} [{_show(low)}, {_show(high)}], asked for {bound}",
    )


def _judge_measurement(gate: Gate, report: EvaluationReport, has_champion: bool) -> list[GateResult]:
    about_champion = gate.metric in {"churn_share", "negative_flip_share"}
    if about_champion and not has_champion:
        return [
            GateResult(
                gate=gate.metric,
                verdict=Verdict.PASSED,
                bound="only with a champion",
                sentence=f"{gate.metric} does not apply to a first model",
            )
        ]
    value = report.measurements.get(gate.metric)
    if not is_usable(value):
        return [_missing(gate.metric, f"{gate.metric} was not measured")]
    if report.rows < gate.min_rows:
        return [
            _missing(gate.metric, f"{gate.metric} rests on {report.rows:,} rows; {gate.min_rows:,} are needed", value)
        ]
    return _judge_bounds(gate, value, SINGLE)


def _references(report: EvaluationReport, evaluate: EvaluateSpec) -> list[GateResult]:
    """Ask whether the challenger is worth more than simpler models: surely more than none at all, which is the dummy.

    A tie with the linear model harms nobody, so that by chance it may go either way.
    """
    results = []
    for name in sorted(set(evaluate.must_beat)):
        if report.is_linear and name == "linear":
            continue
        c = report.references.get(name)
        if c is None or not is_usable(c.gain):
            results.append(_missing(f"beats_{name}", f"the {name} model was not measured"))
            continue
        is_better = float(c.gain or 0.0) > 0
        if name == "dummy" and is_better and not (is_usable(c.gain_low) and float(c.gain_low or 0.0) > 0):
            verdict, why = Verdict.INCONCLUSIVE, ": by chance alone the difference may be as large; widen the holdout"
        else:
            verdict = Verdict.PASSED if is_better else Verdict.FAILED
            why = "" if is_better else ": the simpler model is as good, use it"
        results.append(
            GateResult(
                gate=f"beats_{name}",
                verdict=verdict,
                measured=c.gain,
                what=f"gain in {c.metric}",
                low=c.gain_low,
                high=c.gain_high,
                bound=f"better than the {name} model",
                sentence=f"{c.metric} {_show(c.challenger)} against {_show(c.other)} of the {name} model" + why,
            )
        )
    return results


def _slices(report: EvaluationReport, evaluate: EvaluateSpec, gate: Gate | None) -> list[GateResult]:
    """Ask whether any slice became worse: Holm's step-down over the slices (Holm 1979, Scand. J. Statist. 6, 65-70)."""
    declared = set(evaluate.slices)
    results = [
        _missing(f"slice.{column}", f"slice {column} was not measured")
        for column in sorted(declared - {s.column for s in report.slices})
    ]
    judged = [s for s in report.slices if s.judged and s.column in declared]
    for unmeasured in (s for s in judged if not is_usable(s.p_harm)):
        results.append(
            _missing(_slice_name(unmeasured), f"slice {unmeasured.column}={unmeasured.value} has no interval")
        )
    measured = sorted(
        (s for s in judged if is_usable(s.p_harm)), key=lambda s: (float(s.p_harm or 0.0), s.column, s.value)
    )
    still_rejecting = True
    for rank, s in enumerate(measured):
        level = evaluate.alpha / (len(measured) - rank)
        still_rejecting = still_rejecting and float(s.p_harm or 0.0) < level
        results.append(_judge_slice(s, still_rejecting, gate))
    return results


def _judge_slice(s: SliceComparison, harmed: bool, gate: Gate | None) -> GateResult:
    margin = f"{gate.margin:.1%} of the champion's value" if gate else "the margin"
    return GateResult(
        gate=_slice_name(s),
        verdict=Verdict.FAILED if harmed else Verdict.PASSED,
        measured=s.comparison.gain,
        what=f"gain in {s.comparison.metric}",
        low=s.comparison.gain_low,
        high=s.comparison.gain_high,
        bound=f"not provably worse than {margin}",
        sentence=f"{s.column}={s.value} ({s.comparison.rows:,} rows): "
        f"{s.comparison.metric} {_show(s.comparison.challenger)} "
        f"against the champion's {_show(s.comparison.other)}" + (", provably worse" if harmed else ""),
    )


def _slice_name(s: SliceComparison) -> str:
    return f"slice.{s.column}={s.value}"


def _missing(gate: str, sentence: str, measured: Number = None) -> GateResult:
    return GateResult(
        gate=gate, verdict=Verdict.INCONCLUSIVE, measured=measured, bound="a usable number", sentence=sentence
    )


def _show(value: Number) -> str:
    return "nothing" if value is None else f"{value:.4g}"
