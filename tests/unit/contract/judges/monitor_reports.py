"""What looks report, as tests need it."""

import math
from datetime import datetime, timedelta, timezone
from typing import Any

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.spec import RetrainSpec
from understudy.contract.judgement import GateResult
from understudy.contract.judges.monitoring import judge_monitoring
from understudy.contract.monitoring import (
    Calibration,
    ColumnDrift,
    Decision,
    DriftReport,
    History,
    MonitorReport,
    PastLook,
    QualityReport,
)
from understudy.contract.words import DistanceMethod, Verdict, Watched

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)


DAY = timedelta(days=1)


MONITOR, RETRAIN = MonitorSpec(), RetrainSpec()


UNUSABLE = [None, math.nan, math.inf, -math.inf]


DRIFT_GATES = ("drift", "together", "predictions")


def column(name: str, **changes: Any) -> ColumnDrift:
    facts = {"method": DistanceMethod.WASSERSTEIN, "distance": 0.02, "threshold": 0.1, "importance": 0.25}
    gaps = {"null_share": 0.0, "reference_null_share": 0.0, "null_threshold": 0.1}
    return ColumnDrift(column=name, **{**facts, **gaps, **changes})


def drift(**changes: Any) -> DriftReport:
    facts: dict[str, Any] = {
        "reference_data": "v1",
        "reference_rows": 20_000,
        "current_rows": 2000,
        "sampled_reference_rows": 20_000,
        "sampled_current_rows": 2000,
        "columns": tuple(column(name) for name in "abcd"),
        "prediction": column("answers"),
        "domain_auc": 0.52,
        "domain_auc_usual": 0.55,
        "calibration": Calibration(length="1w", shares=(0.0,) * 20),
    }
    return DriftReport(**{**facts, **changes})


MOVED = drift(columns=(column("a", distance=0.5), column("b", distance=0.5), column("c"), column("d")))


def quality(**changes: Any) -> QualityReport:
    facts: dict[str, Any] = {
        "metric": "roc_auc",
        "rows": 2000,
        "labelled_rows": 2000,
        "blocks": 28,
        "blessed_blocks": 40,
        "value": 0.85,
        "value_error": 0.01,
        "blessed": 0.86,
        "blessed_error": 0.01,
        "loss": 0.2,
        "loss_error": 0.01,
        "blessed_loss": 0.2,
        "blessed_loss_error": 0.01,
    }
    return QualityReport(**{**facts, **changes})


def report(**changes: Any) -> MonitorReport:
    facts: dict[str, Any] = {
        "model": "m",
        "watched": Watched.GATEWAY,
        "champion_version": 3,
        "champion_since": NOW - 20 * DAY,
        "trained_until": NOW - 30 * DAY,
        "as_of": NOW,
        "window_start": NOW - 7 * DAY,
        "window_end": NOW,
        "drift": drift(),
        "quality": quality(),
        "new_labels": 500,
    }
    return MonitorReport(**{**facts, **changes})


def looks(*drifting: bool | None, apart: timedelta = DAY, version: int = 3) -> History:
    return History(
        looks=tuple(
            PastLook(
                at=NOW - apart * age,
                champion_version=version,
                window_end=NOW - apart * age,
                is_drifting=saw is True,
                is_conclusive=saw is not None,
            )
            for age, saw in enumerate(drifting, start=1)
        )
    )


def decide(
    given: MonitorReport, history: History | None = None, *, retrain: RetrainSpec = RETRAIN, **monitor: Any
) -> Decision:
    return judge_monitoring(given, MonitorSpec(**monitor) if monitor else MONITOR, retrain, history or History())


def answer(decision: Decision, gate: str) -> Verdict:
    return next(result.verdict for result in decision.judgement.results if result.gate == gate)


def of_drift(measured: DriftReport, gate: str) -> GateResult:
    results = decide(report(drift=measured)).judgement.results
    return next(result for result in results if result.gate == gate)
