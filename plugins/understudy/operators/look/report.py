"""Let MLflow draw what looks measured over time, and keep their reports with the version that they are about."""

import logging
from pathlib import Path

from understudy.contract.errors import UnderstudyError
from understudy.contract.monitoring import MonitorReport
from understudy.contract.release import Bundle
from understudy.contract.retrainings import Recorded
from understudy.hooks.connect import Hooks

log = logging.getLogger(__name__)
LATEST = "looks/latest"


def publish(hooks: Hooks, champion: Bundle, recorded: Recorded, report: MonitorReport, files: dict[str, Path]) -> None:
    """Write numbers and reports to the champion's run in MLflow; the ledger has the decision whatever comes of it.

    The newest reports replace each other; those of a look that found something stay, under the look's name.
    """
    folders = (LATEST, f"looks/{recorded.seq}") if recorded.look.has_found else (LATEST,)
    try:
        hooks.registry.trace(champion, metrics_of(report, recorded), report.as_of, recorded.seq)
        hooks.registry.attach(champion, {f"{place}/{name}": path for place in folders for name, path in files.items()})
    except UnderstudyError as unreachable:
        log.warning("the ledger has the look's numbers, MLflow has not: %s", unreachable)


def metrics_of(report: MonitorReport, recorded: Recorded) -> dict[str, float]:
    """Give what MLflow draws over the looks; what was not measured is left out."""
    drift, quality = report.drift, report.quality
    answers = {answer.gate: answer.measured for answer in recorded.look.decision.judgement.results}
    numbers = {
        "monitor.drift_share": answers.get("drift"),
        "monitor.age_days": answers.get("age"),
        "monitor.domain_auc": drift.domain_auc if drift else None,
        "monitor.prediction_distance": drift.prediction.distance if drift and drift.prediction else None,
        "monitor.rows": drift.current_rows if drift else None,
        "monitor.labelled_rows": quality.labelled_rows if quality else None,
        f"monitor.{quality.metric}" if quality else "": quality.value if quality else None,
        "monitor.loss": quality.loss if quality else None,
        "monitor.estimated_loss": quality.estimate if quality else None,
        "monitor.new_labels": report.new_labels,
        "monitor.due": float(recorded.look.is_due),
    }
    return {name: float(number) for name, number in numbers.items() if number is not None}
