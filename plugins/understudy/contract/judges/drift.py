"""Ask whether live data have moved: by effect size against what is usual, never by a p-value."""

import math

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.judgement import COUNTED, GateResult, is_usable
from understudy.contract.live.contest import unanswered
from understudy.contract.monitoring import Calibration, ColumnDrift, DriftReport
from understudy.contract.words import Verdict

MIN_WINDOWS = 8
"""With fewer windows of its own, a reference does not say what is usual."""
MIN_AUC = 0.6
"""Below, the windows are alike for every practical purpose: a shift of a tenth of a spread in all columns gives 0.6."""
MIN_AUC_RISE = 0.05
"""By how much the windows must be easier to tell apart than the reference's own."""
SHOWN = 3
BREACHES = "checks that do not hold and columns with gaps"
DIFFERENT = "columns that differ"


def judge_data_quality(report: DriftReport) -> GateResult:
    """Ask whether the rows are what was declared, and whether values are missing as usual.

    FAILED is an incident of the data, to be mended where they come from; a retraining would learn from it.
    """
    bound = "rows as declared, and no more missing values than usual"
    broken = [finding.sentence for finding in report.invariants if finding.failed and finding.batch_level]
    broken += [_gap(column) for column in report.columns if column.has_gaps]
    if broken:
        return _counted("data", Verdict.FAILED, len(broken), BREACHES, bound, _listed(broken))
    if not report.current_rows:
        return unanswered("data", bound, "the window holds no rows")
    uncounted = [column for column in report.columns if not column.has_known_gaps]
    if uncounted:
        told = _listed([f"it is unknown how many values of {column.column!r} may be missing" for column in uncounted])
        return unanswered("data", bound, told)
    told = f"{_checks(report)}, and values are missing as usual"
    return _counted("data", Verdict.PASSED, 0, BREACHES, bound, told)


def _checks(report: DriftReport) -> str:
    """Say how the declared checks went, where what fails is no more than single rows may."""
    asked = len(report.invariants)
    failed = sum(finding.failed for finding in report.invariants)
    if not asked:
        return "no checks are declared"
    if not failed:
        return f"{asked} declared checks hold"
    return f"{asked - failed} of {asked} declared checks hold for every row, the rest for all but a few"


def judge_columns(report: DriftReport, monitor: MonitorSpec) -> GateResult:
    """Ask whether columns that carry the stated share of all importance have moved further than usual.

    A column that could not be measured counts as unmoved for a yes, and as moved for a no.
    """
    bound = f"less than {monitor.drift_share:.0%} of the importance moved"
    doubt = _doubt(report, monitor)
    if doubt:
        return unanswered("drift", bound, doubt)
    moved = sorted((c for c in report.columns if c.has_moved), key=lambda c: (-c.importance, c.column))
    unknown = [column for column in report.columns if not column.is_measured]
    share, open_share = _importance(moved), _importance(unknown)
    if share >= monitor.drift_share:
        verdict = Verdict.FAILED
    elif share + open_share >= monitor.drift_share:
        return unanswered("drift", bound, f"{_listed([_unknown(column) for column in unknown])}; that could be drift")
    else:
        verdict = Verdict.PASSED
    told = f"{len(moved)} of {len(report.columns)} columns have moved, with {share:.0%} of the importance"
    return GateResult(
        gate="drift",
        verdict=verdict,
        measured=share,
        what="importance that moved",
        basis=f"each column's threshold from {report.calibration.windows} windows of {report.calibration.length} of "
        "the reference",
        bound=bound,
        sentence=f"{told}{': ' if moved else ''}{_listed([_movement(column) for column in moved])}",
    )


def judge_multivariate(report: DriftReport, monitor: MonitorSpec) -> GateResult:
    """Ask whether a classifier tells the windows apart more easily than the reference's own."""
    area, usual = report.domain_auc, report.domain_auc_usual
    bound = f"an area under the curve below {MIN_AUC:g}, or less than {MIN_AUC_RISE:g} above the usual"
    if report.current_rows < monitor.min_rows:
        return unanswered("together", bound, _too_few(report, monitor))
    if area is None or usual is None or not (is_usable(area) and is_usable(usual)):
        return unanswered("together", bound, "it was not measured how well the windows can be told apart")
    apart = area >= MIN_AUC and area >= usual + MIN_AUC_RISE
    return GateResult(
        gate="together",
        verdict=Verdict.FAILED if apart else Verdict.PASSED,
        measured=area,
        what="area under the curve",
        basis=f"usual from {report.calibration.windows} windows of {report.calibration.length} of the reference",
        bound=f"below {max(MIN_AUC, usual + MIN_AUC_RISE):.3g}",
        sentence=f"a classifier tells this window from the reference with an area of {area:.2f}, usual is {usual:.2f}",
    )


def judge_predictions(report: DriftReport, monitor: MonitorSpec) -> GateResult:
    """Ask whether the champion's answers have moved further than usual."""
    moved, bound = report.prediction, "answers that lie no further from the reference's than usual"
    if report.current_rows < monitor.min_rows:
        return unanswered("predictions", bound, _too_few(report, monitor))
    if moved is None:
        return unanswered("predictions", bound, "the champion's answers were not compared")
    if not moved.is_measured:
        return unanswered("predictions", bound, _unknown(moved))
    return GateResult(
        gate="predictions",
        verdict=Verdict.FAILED if moved.has_moved else Verdict.PASSED,
        measured=moved.distance,
        what="distance of the answers",
        basis=threshold_of(moved),
        bound=f"below {moved.threshold:.3g}",
        sentence=f"the champion's answers lie {moved.distance:.3g} from the reference's, usual is up to "
        f"{moved.threshold:.3g}",
    )


def judge_skew(report: DriftReport) -> GateResult:
    """Ask whether requests look like the source's rows of the same time.

    FAILED means that training and serving compute or deliver a feature differently: a defect that no retraining mends.
    """
    bound = "requests as the source's rows of the same time"
    different = [_movement(column) for column in report.skew if column.has_moved]
    if different:
        return _counted("skew", Verdict.FAILED, len(different), DIFFERENT, bound, _listed(different))
    unknown = [_unknown(column) for column in report.skew if not column.is_measured]
    if unknown:
        return unanswered("skew", bound, _listed(unknown))
    return _counted("skew", Verdict.PASSED, 0, DIFFERENT, bound, f"{len(report.skew)} columns are as in the source")


def threshold_of(column: ColumnDrift) -> str:
    """Say where the threshold comes from that stands in for an interval."""
    return f"threshold from {column.source or 'the reference'}"


def _counted(gate: str, verdict: Verdict, count: int, what: str, bound: str, sentence: str) -> GateResult:  # noqa: PLR0917 - as the fields
    return GateResult(
        gate=gate, verdict=verdict, measured=float(count), what=what, basis=COUNTED, bound=bound, sentence=sentence
    )


def _doubt(report: DriftReport, monitor: MonitorSpec) -> str | None:
    """Say why this report can say nothing of drift, if so."""
    if report.current_rows < monitor.min_rows:
        return _too_few(report, monitor)
    if not report.columns:
        return "no column could be compared"
    return _miscalibrated(report.calibration, monitor)


def _miscalibrated(calibration: Calibration, monitor: MonitorSpec) -> str | None:
    if calibration.windows < MIN_WINDOWS:
        return (
            f"the reference has {calibration.windows} windows of its own to tell what is usual; "
            f"{MIN_WINDOWS} are needed"
        )
    alarms = calibration.alarms(monitor.drift_share)
    if alarms / calibration.windows > monitor.max_false_alarms:
        return (
            f"{alarms} of {calibration.windows} windows of the champion's own data would have looked like drift; "
            f"at most {monitor.max_false_alarms:.1%} may"
        )
    return None


def _too_few(report: DriftReport, monitor: MonitorSpec) -> str:
    return f"the window holds {report.current_rows:,} rows; {monitor.min_rows:,} are needed"


def _importance(columns: list[ColumnDrift]) -> float:
    # Summed exactly and rounded, so that neither the columns' order nor the last bit of a sum can decide.
    return round(math.fsum(column.importance for column in columns if is_usable(column.importance)), 9)


def _movement(column: ColumnDrift) -> str:
    return f"{column.column} by {column.distance:.3g} (usual up to {column.threshold:.3g})"


def _gap(column: ColumnDrift) -> str:
    return (
        f"{column.column!r} lacks {column.null_share:.1%} of its values, in the reference "
        f"{column.reference_null_share:.1%}"
    )


def _unknown(column: ColumnDrift) -> str:
    return column.problem or f"column {column.column!r} was not measured: {column.source or 'nothing is usual for it'}"


def _listed(sentences: list[str]) -> str:
    more = f"; and {len(sentences) - SHOWN} more" if len(sentences) > SHOWN else ""
    return "; ".join(sentences[:SHOWN]) + more
