"""Decide whether a champion's retraining is due: a pure function of what a look measured and what was before."""

from datetime import datetime, timedelta

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.spec import RetrainSpec
from understudy.contract.declared import format_duration
from understudy.contract.judgement import COUNTED, GateResult, Judgement, combine
from understudy.contract.judges.drift import (
    judge_columns,
    judge_data_quality,
    judge_multivariate,
    judge_predictions,
    judge_skew,
)
from understudy.contract.judges.lost_quality import judge_loss, judge_metric
from understudy.contract.live.contest import unanswered
from understudy.contract.monitoring import Decision, History, MonitorReport
from understudy.contract.words import Trigger, Verdict

WEEK = timedelta(days=7)
FRESH_SHARE = 0.1
"""The part of a window that has to be new for a look at it to count as another one."""


def judge_monitoring(report: MonitorReport, monitor: MonitorSpec, retrain: RetrainSpec, history: History) -> Decision:
    """Answer what a look asks, and say whether a retraining is due.

    What is missing or broken is INCONCLUSIVE and speaks for nothing. Drift counts after ``monitor.looks`` looks in a
    row; that predictions moved counts as drift unless labels show that quality holds.
    """
    questions = {result.gate: result for result in _questions(report, monitor, retrain)}
    is_drifting = _is_drifting(questions)
    seen = _looks_with_drift(report, monitor, history) + 1 if is_drifting else 0
    reasons = _reasons(report, retrain, questions, is_persistent=seen >= monitor.looks)
    held_back = _held_back(report, retrain, history) if reasons else None
    results = tuple(questions.values())
    judgement = Judgement(verdict=combine(results), results=results)
    return Decision(
        judgement=judgement,
        is_drifting=is_drifting,
        reasons=reasons,
        held_back=held_back,
        sentence=_sentence(judgement, reasons, held_back, f"{seen} of {monitor.looks}" if seen else None),
    )


def _questions(report: MonitorReport, monitor: MonitorSpec, retrain: RetrainSpec) -> list[GateResult]:
    results = [
        unanswered(f"problem.{place}", "everything measured", told) for place, told in enumerate(report.problems)
    ]
    if report.drift is None:
        results.append(unanswered("drift", "a comparison with the champion's reference", "drift was not measured"))
    else:
        results += [
            judge_data_quality(report.drift),
            judge_columns(report.drift, monitor),
            judge_multivariate(report.drift, monitor),
            judge_predictions(report.drift, monitor),
            *([judge_skew(report.drift)] if report.drift.skew else []),
        ]
    if report.quality is None:
        results.append(unanswered("quality.loss", "the loss of labelled rows", "quality was not measured"))
    else:
        metric = judge_metric(report.quality, monitor)
        results += [judge_loss(report.quality, monitor), *([] if metric is None else [metric])]
    if retrain.max_age is not None:
        results.append(_staleness(report, retrain.max_age))
    return results


def _staleness(report: MonitorReport, max_age: timedelta) -> GateResult:
    """Ask whether the newest row that the champion learned from is too old; its promotion where rows have no dates."""
    bound = f"at most {format_duration(max_age)} old"
    age = report.as_of - (report.trained_until or report.champion_since)
    if age < timedelta(0):
        return unanswered("age", bound, "the champion was trained on rows from the future; is a clock wrong?")
    days = age / timedelta(days=1)
    since = "its newest training row" if report.trained_until else "its promotion"
    return GateResult(
        gate="age",
        verdict=Verdict.FAILED if age >= max_age else Verdict.PASSED,
        measured=days,
        what="days",
        basis=COUNTED,
        bound=bound,
        sentence=f"the champion is {days:.1f} days old, counted from {since}; {format_duration(max_age)} are allowed",
    )


def _is_drifting(questions: dict[str, GateResult]) -> bool:
    """Tell drift from broken data: rows that are not what was declared are an incident, whatever has moved in them."""
    if _verdict(questions, "data") is not Verdict.PASSED:
        return False
    moved = any(_verdict(questions, gate) is Verdict.FAILED for gate in ("drift", "together"))
    quality_holds = _verdict(questions, "quality.loss") is Verdict.PASSED
    return moved or (not quality_holds and _verdict(questions, "predictions") is Verdict.FAILED)


def _verdict(questions: dict[str, GateResult], gate: str) -> Verdict | None:
    return questions[gate].verdict if gate in questions else None


def _looks_with_drift(report: MonitorReport, monitor: MonitorSpec, history: History) -> int:
    """Count the looks before, back to the last one without drift, that each saw enough that was new.

    Looks at another champion, and any before such a one, say nothing of this one. Looks that could not say anything
    neither count nor end the row.
    """
    seen, end = 0, report.window_end
    for look in history.looks:
        if look.champion_version != report.champion_version or (look.is_conclusive and not look.is_drifting):
            break
        if look.is_drifting and look.window_end <= end - monitor.window * FRESH_SHARE:
            seen, end = seen + 1, look.window_end
    return seen


def _reasons(
    report: MonitorReport, retrain: RetrainSpec, questions: dict[str, GateResult], *, is_persistent: bool
) -> tuple[Trigger, ...]:
    is_worse = any(
        gate.startswith("quality.") and result.verdict is Verdict.FAILED for gate, result in questions.items()
    )
    enough_labels = (
        retrain.new_labels is not None and report.new_labels is not None and report.new_labels >= retrain.new_labels
    )
    speaking = {
        Trigger.QUALITY: retrain.quality and is_worse,
        Trigger.DRIFT: retrain.drift and is_persistent,
        Trigger.STALENESS: _verdict(questions, "age") is Verdict.FAILED,
        Trigger.NEW_LABELS: enough_labels,
    }
    return tuple(trigger for trigger, speaks in speaking.items() if speaks)


def _held_back(report: MonitorReport, retrain: RetrainSpec, history: History) -> str | None:
    """Say what speaks against a retraining now: the last one is too recent, too many, or too few new labels."""
    last = max(history.retrained, default=None)
    if last is not None and report.as_of - last < retrain.cooldown:
        return (
            f"the last retraining was {_ago(report.as_of, last)}; the cool-down is {format_duration(retrain.cooldown)}"
        )
    recent = sum(report.as_of - moment < WEEK for moment in history.retrained)
    if recent >= retrain.max_per_week:
        return f"there were {recent} retrainings within seven days; {retrain.max_per_week} are allowed"
    if retrain.min_new_labels and report.new_labels is None:
        return f"it is unknown how many new labels there are; {retrain.min_new_labels:,} are needed"
    if (report.new_labels or 0) < retrain.min_new_labels:
        return f"there are {report.new_labels:,} new labelled rows; {retrain.min_new_labels:,} are needed"
    return None


def _ago(now: datetime, then: datetime) -> str:
    return f"{max(0.0, (now - then) / timedelta(hours=1)):.1f} hours ago"


def _sentence(judgement: Judgement, reasons: tuple[Trigger, ...], held_back: str | None, drift_seen: str | None) -> str:
    seen = f"; drift seen in {drift_seen} looks" if drift_seen else ""
    if reasons:
        why = " and ".join(reason.value.replace("_", " ") for reason in reasons)
        due = (
            f"a retraining is due by {why}"
            if held_back is None
            else f"a retraining would be due by {why}, but {held_back}"
        )
        return f"{due}: {judgement.sentence}{seen}"
    if judgement.verdict is Verdict.PASSED:
        return f"looked, nothing to do: {judgement.sentence}"
    return f"looked, no retraining is due: {judgement.sentence}{seen}"
