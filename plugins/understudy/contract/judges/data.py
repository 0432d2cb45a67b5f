"""Judge a window of data: a pure function of what the data check measured."""

from understudy.contract.judgement import COUNTED, GateResult, Judgement, combine, is_usable
from understudy.contract.reports import DataReport, Finding
from understudy.contract.words import Verdict

TOO_LITTLE = frozenset({"row_count"})


def judge_data(report: DataReport) -> Judgement:
    """Answer every finding, and whether few enough rows are bad.

    Failing cells alone refuse nothing: their rows are set aside, and their share is judged. A finding without a number,
    too few rows, or no findings at all decide nothing, so the window is not used.
    """
    if not report.findings:
        return Judgement(verdict=Verdict.INCONCLUSIVE, results=())
    results = (_bad_share(report), *(_answer(finding) for finding in report.findings))
    return Judgement(verdict=combine(results), results=results)


def _bad_share(report: DataReport) -> GateResult:
    bound = f"at most {report.max_bad_share:.2%} of the rows"
    share = report.bad_rows / report.rows if report.rows else None
    if share is None:
        return GateResult(
            gate="bad_rows", verdict=Verdict.INCONCLUSIVE, bound=bound, sentence="the window holds no rows"
        )
    why = sorted(
        (f for f in report.findings if f.failed and not f.batch_level), key=lambda f: (-f.failing_rows, f.sentence)
    )
    reasons = f": {'; '.join(f.sentence for f in why[:3])}" if why else ""
    passed = share <= report.max_bad_share
    return GateResult(
        gate="bad_rows",
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        measured=share,
        what="share of the rows",
        basis=COUNTED,
        bound=bound,
        sentence=f"{report.bad_rows:,} of {report.rows:,} rows ({share:.2%}) have failing cells, {bound} may{reasons}",
    )


def _answer(finding: Finding) -> GateResult:
    gate = f"{finding.check}.{finding.column}" if finding.column else finding.check
    verdict = Verdict.PASSED
    if not is_usable(finding.measured) or (finding.failed and finding.check in TOO_LITTLE):
        verdict = Verdict.INCONCLUSIVE
    elif finding.failed and finding.batch_level:
        verdict = Verdict.FAILED
    return GateResult(
        gate=gate,
        verdict=verdict,
        measured=finding.measured,
        basis=COUNTED if is_usable(finding.measured) else "",
        bound=finding.bound,
        sentence=finding.sentence,
    )
