"""The rollback drill: its sandbox, what it measures, and when it has passed."""

from datetime import timedelta

from understudy.contract.declaration.serving import GuardSpec, ServingSpec
from understudy.contract.declared import Fact, format_duration
from understudy.contract.judgement import SINGLE, GateResult, Judgement, combine
from understudy.contract.words import Verdict

DRILL_DAG = "rollback_drill"
DRILL_SERVING = ServingSpec(memory="1g", max_log="64m")
DRILL_GUARD = GuardSpec.model_validate(
    {
        # Only what the labels say may find the bad version out: a slow answer must not pass the drill.
        "min_requests": 20,
        "min_labels": 100,
        "block": "1s",
        "max_error_share": 1.0,
        "max_latency_ratio": 1e6,
        "max_memory_ratio": 1e6,
    }
)


class DrillReport(Fact):
    """Hold what a drill measured; a time is None where its end never came."""

    good: int
    bad: int
    """The version that was learned from turned labels and promoted on purpose."""
    detection_s: float | None
    """From the moment when all gateways served the bad version until it was judged."""
    reversal_s: float | None
    """From that judgement until the good version answered at all gateways."""
    problem: str | None = None
    """What was still open when the drill gave up."""
    requests: int
    lost: int
    """Requests without a usable answer."""


def judge_drill(report: DrillReport, detect_within: timedelta, reverse_within: timedelta) -> Judgement:
    """Ask whether a bad model is found out, and taken back, in time."""
    results = (_detection(report, detect_within), _reversal(report, reverse_within))
    return Judgement(verdict=combine(results), results=results)


def sentence_of(judgement: Judgement) -> str:
    """Tell a drill in one sentence, whatever came of it."""
    return "; ".join(result.sentence for result in judgement.results)


def _detection(report: DrillReport, within: timedelta) -> GateResult:
    allowed = format_duration(within)
    if report.detection_s is None:
        why = f": {report.problem}" if report.problem else ""
        verdict, sentence = Verdict.FAILED, f"the bad version {report.bad} was not found out within {allowed}{why}"
    else:
        verdict, only = _in_time(report.detection_s, within)
        sentence = (
            f"the bad version {report.bad} was found out {only}{report.detection_s:.1f} s after all gateways served "
            f"it; {allowed} is allowed"
        )
    return GateResult(
        gate="detection",
        verdict=verdict,
        measured=report.detection_s,
        what="seconds",
        basis=SINGLE,
        bound=f"within {allowed}",
        sentence=sentence,
    )


def _reversal(report: DrillReport, within: timedelta) -> GateResult:
    allowed = format_duration(within)
    if report.detection_s is None:
        verdict, sentence = Verdict.INCONCLUSIVE, "so nothing was taken back"
    elif report.reversal_s is None:
        why = f": {report.problem}" if report.problem else ""
        verdict = Verdict.FAILED
        sentence = f"version {report.good} did not answer again at all gateways{why}"
    else:
        verdict, only = _in_time(report.reversal_s, within)
        sentence = (
            f"version {report.good} answered again at all gateways {only}{report.reversal_s:.2f} s after that; "
            f"{allowed} is allowed"
        )
    return GateResult(
        gate="reversal",
        verdict=verdict,
        measured=report.reversal_s,
        what="seconds",
        basis=SINGLE,
        bound=f"within {allowed}",
        sentence=sentence,
    )


def _in_time(took_s: float, within: timedelta) -> tuple[Verdict, str]:
    # Written so that a NaN is never in time.
    return (Verdict.PASSED, "") if 0 <= took_s <= within.total_seconds() else (Verdict.FAILED, "only ")
