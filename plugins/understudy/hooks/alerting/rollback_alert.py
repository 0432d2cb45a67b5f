"""How a rollback that failed is told: the same alert whoever tells it, and with the ledger down as well."""

from understudy.contract.alerts.alert import Alert
from understudy.contract.alerts.failed_rollback import FailedRollback
from understudy.contract.cards.text import LONGEST_LINE, shortened
from understudy.hooks.alerting.pages import page_of
from understudy.hooks.alerting.terms import alert_terms
from understudy.hooks.ledger.facts import mask
from understudy.settings import Settings


def rollback_alert(chosen: Settings, failed: FailedRollback) -> Alert:
    """Tell that a rollback which somebody asked for did not happen."""
    kind, model = failed.kind, failed.model
    what = "was refused, and nothing was changed" if failed.is_refused else "failed, and what served may serve on"
    told = f"{model}: a rollback {what}: {failed.why}"
    return Alert(
        key=failed.key,
        kind=kind,
        model=model,
        at=failed.at,
        sentence=shortened(mask(told), LONGEST_LINE),
        page=page_of(model),
        runbook=alert_terms(chosen, model).runbook_of(kind, chosen.alerts_runbooks),
    )
