"""Reports of the data check."""

from typing import Any

from understudy.contract.reports import DataReport, Finding


def finding(**facts: Any) -> Finding:
    return Finding.model_validate(
        {
            "check": "range",
            "column": "x",
            "measured": 0.0,
            "bound": "at least 0",
            "failed": False,
            "batch_level": True,
            "sentence": "x is fine",
            **facts,
        }
    )


def report(*findings: Finding, **facts: Any) -> DataReport:
    return DataReport.model_validate(
        {
            "rows": 1000,
            "rows_checked": 1000,
            "bad_rows": 0,
            "max_bad_share": 0.01,
            "findings": findings,
            "profile": {},
            **facts,
        }
    )
