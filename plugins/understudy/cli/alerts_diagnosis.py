"""Whether anybody would be told of what goes wrong."""

from understudy.cli.finding import Finding, Severity
from understudy.contract.load import declared
from understudy.hooks.alerting.terms import alert_terms
from understudy.settings import Settings

ABOUT = "alerts"


def find_receivers(settings: Settings) -> list[Finding]:
    """Name the receivers of alerts; that they take messages, `understudy alerts test` finds out."""
    models = [path.parent.name for path in declared(settings.models_dir)]
    named = {model: alert_terms(settings, model).to for model in models} or {"": alert_terms(settings, "").to}
    receivers = sorted({receiver for to in named.values() for receiver in to})
    untold = [model for model, to in named.items() if not to]
    if not untold:
        return [Finding(about=ABOUT, severity=Severity.FINE, found=f"go to {', '.join(receivers)}")]
    whom = f" about {', '.join(untold)}" if receivers else ""
    return [
        Finding(
            about=ABOUT,
            severity=Severity.NOTE,
            found=f"nobody is told anything{whom}",
            way_out="Name Airflow connections in AIRFLOW__UNDERSTUDY__ALERTS_TO (docs/alerts.md).",
        )
    ]
