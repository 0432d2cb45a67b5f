"""Evaluation reports, as a stage could hand them in."""

import math

from understudy.contract.declaration.train import EvaluateSpec
from understudy.contract.reports import Comparison, EvaluationReport, SliceComparison

EVALUATE = EvaluateSpec()


UNUSABLE = [None, math.nan, math.inf, -math.inf]


def comparison(metric: str = "roc_auc", **changes: object) -> Comparison:
    facts = {
        "metric": metric,
        "challenger": 0.85,
        "other": 0.80,
        "gain": 0.05,
        "gain_low": 0.03,
        "gain_high": 0.07,
        "rows": 5000,
        "blocks": 30,
    }
    return Comparison.model_validate({**facts, **changes})


def report(**changes: object) -> EvaluationReport:
    facts: dict[str, object] = {
        "task": "binary_classification",
        "primary": "roc_auc",
        "challenger_version": "2",
        "champion_version": 1,
        "rows": 5000,
        "blocks": 30,
        "holdout_start": None,
        "holdout_end": None,
        "leaked_rows": 0,
        "is_linear": False,
        "comparisons": (comparison(), comparison("log_loss", challenger=0.4, other=0.5)),
        "references": {
            "dummy": comparison(other=0.5, gain=0.35, gain_low=0.3, gain_high=0.4),
            "linear": comparison(other=0.79, gain=0.06),
        },
        "measurements": {"size_mb": 3.0, "latency_p95_ms": 4.0, "churn_share": 0.1},
    }
    return EvaluationReport.model_validate({**facts, **changes})


def first_model(**changes: object) -> EvaluationReport:
    alone = comparison(other=None, gain=None, gain_low=None, gain_high=None)
    return report(champion_version=None, comparisons=(alone,), **changes)


def slice_of(value: str, p_harm: float | None, judged: bool = True) -> SliceComparison:
    return SliceComparison(column="region", value=value, judged=judged, p_harm=p_harm, comparison=comparison(rows=400))
