"""Write a drift report as report.html, evidently.html and report.json."""

import json
from pathlib import Path

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.drift.baseline import DriftBaseline
from understudy.stages.drift.evidently_report import write_evidently
from understudy.stages.drift.measure import DriftMeasurement
from understudy.stages.report.write import render


def write_drift(
    folder: Path, measurement: DriftMeasurement, baseline: DriftBaseline, spec: ModelSpec, drift_share: float
) -> Path:
    """Write what was counted over everything, beside Evidently's page on the samples."""
    report = measurement.report
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(
        json.dumps(report.model_dump(mode="json"), indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    evidently = write_evidently(
        folder / "evidently.html", baseline.own.sample, measurement.sample, baseline.columns, drift_share
    )
    by_importance = sorted(report.columns, key=lambda column: (-column.importance, column.column))
    tables = [
        ("Columns", by_importance),
        ("Answers", [report.prediction] if report.prediction else []),
        ("Requests against the source", list(report.skew)),
    ]
    page = render(
        "drift.html.jinja",
        report=report,
        spec=spec,
        tables=[(title, columns) for title, columns in tables if columns],
        alarms=report.calibration.alarms(drift_share),
        is_sampled=report.sampled_current_rows < report.current_rows,
        has_evidently=evidently is not None,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder
