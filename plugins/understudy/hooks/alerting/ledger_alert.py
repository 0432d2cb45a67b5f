"""How people are told, without the ledger, that it does not answer or cannot be what was written."""

from datetime import datetime

from understudy.contract.alerts.alert import Alert
from understudy.contract.cards.text import LONGEST_LINE, shortened
from understudy.contract.words import AlertKind
from understudy.hooks.alerting.direct_alerts import ToldDirectly
from understudy.hooks.alerting.pages import page_of
from understudy.hooks.alerting.terms import alert_terms
from understudy.hooks.errors import LedgerDamaged, LedgerUnavailable
from understudy.hooks.ledger.facts import mask
from understudy.settings import Settings


def ledger_alert(
    chosen: Settings, problem: LedgerUnavailable | LedgerDamaged, earlier: ToldDirectly, now: datetime
) -> Alert:
    """Tell what is wrong with the ledger, as the same alert as long as it is the same trouble.

    :param earlier: what was told while the ledger was away already.
    """
    kind = AlertKind.LEDGER_BROKEN if isinstance(problem, LedgerDamaged) else AlertKind.LEDGER_UNREADABLE
    return Alert(
        key=next((key for key in earlier.to if key.startswith(f"{kind}/")), f"{kind}/{now.isoformat()}"),
        kind=kind,
        model="",
        at=now,
        sentence=shortened(mask(str(problem)), LONGEST_LINE),
        page=page_of(""),
        runbook=alert_terms(chosen, "").runbook_of(kind, chosen.alerts_runbooks),
    )
