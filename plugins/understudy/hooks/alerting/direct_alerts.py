"""Send alerts past the outbox, for as long as the ledger's database cannot keep it."""

from collections.abc import Iterable, Mapping

from understudy.contract.alerts.alert import Alert
from understudy.contract.alerts.failed_rollback import FailedRollback
from understudy.contract.declared import Fact
from understudy.hooks.alerting.receivers import NotTaken, ReceiverUnusable, send
from understudy.hooks.alerting.terms import alert_terms
from understudy.settings import Settings


class ToldDirectly(Fact):
    """Say who was told of what past the outbox, so that nobody tells them again."""

    to: Mapping[str, tuple[str, ...]] = {}
    """By the alert's key, the receivers that took it."""
    problems: tuple[str, ...] = ()
    """Why receivers took none, one sentence each."""

    def and_also(self, failed: Iterable[FailedRollback]) -> "ToldDirectly":
        """Add whom the tasks of failed rollbacks have told themselves."""
        added = {one.key: tuple(dict.fromkeys((*self.to.get(one.key, ()), *one.told_to))) for one in failed}
        return ToldDirectly(to={**self.to, **added})


def tell_directly(chosen: Settings, alerts: Iterable[Alert], earlier: ToldDirectly) -> ToldDirectly:
    """Send each alert once to each of its receivers; return what they have taken by now.

    :param earlier: what was told before, which is kept.
    """
    to, problems = dict(earlier.to), list[str]()
    for alert in alerts:
        terms, took = alert_terms(chosen, alert.model), list(to.get(alert.key, ()))
        for receiver in terms.to if alert.kind in terms.kinds else ():
            if receiver in took:
                continue
            try:
                send(receiver, alert, terms.mail_to)
            except (NotTaken, ReceiverUnusable) as problem:
                problems.append(str(problem))
            else:
                took.append(receiver)
        to[alert.key] = tuple(took)
    return ToldDirectly(to=to, problems=tuple(problems))
