"""Ask whether the champion answers worse than on the holdout that it was blessed on."""

import math
from statistics import NormalDist

from understudy.contract.judge import MIN_BLOCKS
from understudy.contract.judgement import GateResult, is_usable
from understudy.contract.live_contest import unanswered
from understudy.contract.metrics import METRICS
from understudy.contract.monitor_spec import MonitorSpec
from understudy.contract.monitoring import QualityReport
from understudy.contract.words import MlTask, Verdict


def judge_loss(report: QualityReport, monitor: MonitorSpec) -> GateResult:
    """Ask whether the mean loss has risen by enough to matter, and by more than chance explains."""
    rise = None if report.loss is None or report.blessed_loss is None else report.loss - report.blessed_loss
    result = _judge(report, monitor, "loss", rise, (report.loss_error, report.blessed_loss_error))
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
    if metric is None or report.metric == "value" or MlTask.REGRESSION in metric.tasks:
        return None
    drop = None if report.value is None or report.blessed is None else report.blessed - report.value
    if drop is not None and not metric.greater_is_better:
        drop = -drop
    return _judge(report, monitor, report.metric, drop, (report.value_error, report.blessed_error))


def _judge(
    report: QualityReport, monitor: MonitorSpec, name: str, worse: float | None, errors: tuple[float | None, ...]
) -> GateResult:
    gate, bound = f"quality.{name}", f"not worse by {monitor.min_loss:g} and more than chance explains"
    if report.labelled_rows < monitor.min_rows:
        return unanswered(
            gate,
            bound,
            f"{report.labelled_rows:,} of {report.rows:,} rows have a label; {monitor.min_rows:,} are needed",
        )
    blocks = min(report.blocks, report.blessed_blocks)
    if blocks < MIN_BLOCKS:
        return unanswered(gate, bound, f"the labels lie in {blocks} blocks of time; {MIN_BLOCKS} are needed")
    usable = [error for error in errors if error is not None and is_usable(error) and error >= 0]
    if worse is None or not is_usable(worse) or len(usable) < len(errors):
        return unanswered(gate, bound, f"the {name} of the live rows, or of the holdout, is unknown")
    error = math.hypot(*usable)
    needed = max(monitor.min_loss, t_quantile(1 - monitor.alpha, blocks - 1) * error)
    verdict = Verdict.FAILED if worse >= monitor.min_loss and worse > needed - 1e-12 else Verdict.PASSED
    return GateResult(
        gate=gate,
        verdict=verdict,
        measured=worse,
        bound=bound,
        sentence=f"{name} is worse by {worse:+.3g} than on the holdout of the blessing, over {report.labelled_rows:,} "
        f"labelled rows in {report.blocks} blocks; {needed:.3g} would count",
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
