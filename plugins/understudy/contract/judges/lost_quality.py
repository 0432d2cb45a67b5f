"""Ask whether the champion answers worse than on the holdout that it was blessed on."""

import math
from statistics import NormalDist

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.judgement import GateResult, is_usable
from understudy.contract.judges.challenger import MIN_BLOCKS
from understudy.contract.live.contest import unanswered
from understudy.contract.metrics import METRICS
from understudy.contract.monitoring import QualityReport
from understudy.contract.words import MlTask, Verdict

QUESTIONS = 2
"""The loss and the metric are asked about; each gets half of alpha (Bonferroni)."""


def judge_loss(report: QualityReport, monitor: MonitorSpec) -> GateResult:
    """Ask whether the mean loss has risen by enough to matter, and by more than chance explains."""
    now, then = (report.loss, report.loss_error), (report.blessed_loss, report.blessed_loss_error)
    result = _judge(report, monitor, "loss", now, then, sign=1)
    if report.estimate is not None and is_usable(report.estimate):
        guess = f"; without labels it is estimated as {report.estimate:.3g} (an estimate, not judged)"
        return result.model_copy(update={"sentence": result.sentence + guess})
    return result


def judge_metric(report: QualityReport, monitor: MonitorSpec) -> GateResult | None:
    """Ask the same of the primary metric of a classification; None where the loss says it all.

    Rare classes can be lost without the mean loss noticing. Errors of a number have no natural scale, so for a
    regression the loss, in spreads of the target, is the one that is judged.
    """
    metric = METRICS.get(report.metric)
    if metric is None or report.metric in ("value", "accuracy") or MlTask.REGRESSION in metric.tasks:
        return None
    now, then = (report.value, report.value_error), (report.blessed, report.blessed_error)
    return _judge(report, monitor, report.metric, now, then, sign=-1 if metric.greater_is_better else 1)


Estimate = tuple[float | None, float | None]


def _judge(
    report: QualityReport, monitor: MonitorSpec, name: str, now: Estimate, then: Estimate, *, sign: int
) -> GateResult:
    gate, bound = f"quality.{name}", f"less than {monitor.min_loss:g} worse, or no more than chance explains"
    if report.labelled_rows < monitor.min_rows:
        return unanswered(
            gate,
            bound,
            f"{report.labelled_rows:,} of {report.rows:,} rows have a label; {monitor.min_rows:,} are needed",
        )
    blocks = min(report.blocks, report.blessed_blocks)
    if blocks < MIN_BLOCKS:
        return unanswered(gate, bound, f"the labels lie in {blocks} blocks of time; {MIN_BLOCKS} are needed")
    known = [number for number in (*now, *then) if number is not None and is_usable(number)]
    if len(known) < 4 or min(known[1], known[3]) < 0:
        return unanswered(gate, bound, f"the {name} of the live rows, or of the holdout, is unknown")
    worse = sign * (known[0] - known[2])
    # Each end is the one-sided bound by which chance is ruled out: quality is lost only where no gain lies within.
    chance = t_quantile(1 - monitor.alpha / QUESTIONS, blocks - 1) * math.hypot(known[1], known[3])
    needed = max(monitor.min_loss, chance)
    why = "which chance explains" if chance > monitor.min_loss else "the least that counts"
    return GateResult(
        gate=gate,
        verdict=Verdict.FAILED if worse >= needed else Verdict.PASSED,
        measured=worse,
        what=f"{'rise' if sign > 0 else 'fall'} of {name}, from {known[2]:.4g} to {known[0]:.4g}",
        low=worse - chance,
        high=worse + chance,
        bound=f"less than {needed:.4g} worse, {why}",
        sentence=f"{name} is {known[0]:.3g}, was {known[2]:.3g} when it was blessed: "
        f"{'worse' if worse > 0 else 'better'} by {abs(worse):.3g}, {needed:.3g} worse would count "
        f"({report.labelled_rows:,} labelled rows in {report.blocks} blocks)",
    )


def t_quantile(share: float, degrees: int) -> float:
    """Give the quantile of Student's t, to 1 % from 7 degrees on (Abramowitz and Stegun 1964, 26.7.5)."""
    z, n = NormalDist().inv_cdf(share), degrees
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
