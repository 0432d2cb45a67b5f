"""Tell people: from ledger entries to alerts in the outbox, and from there to their receivers."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from time import monotonic
from types import MappingProxyType

from understudy.contract.alerts.alert import Alert, summary_of
from understudy.contract.alerts.cause import TOLD_KINDS
from understudy.contract.alerts.failed_rollback import FailedRollback
from understudy.contract.cards.text import LONGEST_LINE, shortened
from understudy.contract.declared import Fact
from understudy.contract.words import AlertKind, EntryKind
from understudy.hooks.alerting.approval_alerts import reminders
from understudy.hooks.alerting.condition import SWEPT, Condition
from understudy.hooks.alerting.direct_alerts import ToldDirectly
from understudy.hooks.alerting.entry_alerts import entry_alerts
from understudy.hooks.alerting.outbox import LOOK_BACK, Addressed, Outbox
from understudy.hooks.alerting.pages import page_of
from understudy.hooks.alerting.receivers import NotTaken, ReceiverUnusable, send
from understudy.hooks.alerting.rollback_alert import rollback_alert
from understudy.hooks.alerting.terms import AlertTerms, alert_terms
from understudy.hooks.ledger.facts import mask
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import Settings

log = logging.getLogger(__name__)

AT_ONCE = 500
"""How many ledger entries are looked at before it is written down what came of them."""
PASS_S = 60.0
"""How long one pass sends: a task that has decided something else must not wait for a thousand messages."""
ADDRESS_WITHIN = timedelta(days=1)
"""How long an alert waits for a process that knows whom to tell; whoever is named after that is not told of it."""


class Delivered(Fact):
    """Count what one pass did."""

    found: int
    """Alerts that were new."""
    sent: int
    """Messages that were taken."""
    problems: tuple[str, ...] = ()
    """Why receivers took none, one sentence each."""


class Tried(Fact):
    """Say what a receiver did with a test message."""

    receiver: str
    problem: str | None
    """Why it was not taken; None where it was."""


class Alerts:
    """Find what has to be told, and tell it.

    Whoever calls it, and however many at once: an alert is put into the outbox once, and each message is claimed by one
    sender. A sender that dies between sending and noting is the one case in which a message goes out twice.
    """

    def __init__(self, ledger: Ledger, chosen: Settings) -> None:
        self._ledger, self._settings = ledger, chosen
        self.outbox = Outbox(ledger)

    def tell(self, now: datetime | None = None) -> Delivered:
        """Put what the ledger holds since the last time into the outbox, and send what is due."""
        found = self.find(now) + self._address(now or datetime.now(timezone.utc))
        return self.deliver(now).model_copy(update={"found": found})

    def find(self, now: datetime | None = None) -> int:
        """Look at the ledger entries that nobody has looked at; return how many alerts came of them."""
        new, after = 0, self._begin(now or datetime.now(timezone.utc))
        while True:
            entries = self._ledger.entries(kinds=TOLD_KINDS, after=after, limit=AT_ONCE)
            if not entries:
                return new
            after = entries[-1].seq
            new += self.put(
                [alert for entry in entries for alert in entry_alerts(self._ledger, self._settings, entry)], up_to=after
            )

    def sweep(
        self,
        found: Sequence[Condition],
        failed: Sequence[FailedRollback],
        earlier: ToldDirectly,
        now: datetime,
    ) -> Delivered:
        """Tell, beside what the ledger holds, what is wrong now: once when it begins, and again when it comes back.

        :param found: everything that is wrong by :func:`~understudy.hooks.conditions.conditions.conditions`.
        :param failed: the rollbacks that Airflow has failed.
        :param earlier: who was told of what while the ledger was down.
        """
        told = earlier.and_also(failed).to
        new = self.put([rollback_alert(self._settings, one) for one in failed if not self._was_done(one)], told=told)
        new += self.put(reminders(self._ledger, self._settings, now))
        since = self.outbox.stand([one.name for one in found], [f"{kind}/" for kind in SWEPT], now)
        new += self.put(self._of_condition(one, since[one.name]) for one in found)
        sent = self.tell(now)
        return sent.model_copy(update={"found": sent.found + new})

    def put(
        self,
        alerts: Iterable[Alert],
        *,
        told: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        up_to: int | None = None,
    ) -> int:
        """Put alerts into the outbox for whoever is told of their kind and model; return how many are told anew.

        Where this process knows nobody to tell, they wait for one that does.

        :param told: by an alert's key, the receivers that have it already.
        """
        addressed = []
        for alert in alerts:
            terms = self._terms(alert.model)
            if terms.tells(alert.kind):
                addressed.append(Addressed(alert=alert, to=terms.to, told=told.get(alert.key, ())))
        return self.outbox.put(addressed, up_to=up_to) if addressed or up_to is not None else 0

    def deliver(self, now: datetime | None = None) -> Delivered:
        """Send what is due for a minute; what is left, and a receiver that fails, is left to the next pass."""
        sent, problems, failed = 0, list[str](), set[str]()
        until = monotonic() + PASS_S
        while True:
            at = now or datetime.now(timezone.utc)
            is_late = monotonic() > until
            claimed = None if is_late else self.outbox.claim(at, lambda m: self._terms(m).per_hour, skip=failed)
            if claimed is None:
                return Delivered(found=0, sent=sent, problems=tuple(problems))
            message = summary_of(claimed.alerts) if len(claimed.alerts) > 1 else claimed.alerts[0]
            try:
                send(claimed.receiver, message, self._terms(claimed.model).mail_to)
            except (NotTaken, ReceiverUnusable) as problem:
                failed.add(claimed.receiver)
                problems.append(str(problem))
                self.outbox.failed(claimed, str(problem), at)
                continue
            self.outbox.sent(claimed, at)
            sent += 1
            log.info("told %s: %s", claimed.receiver, message.sentence)

    def try_receivers(self, model: str, now: datetime) -> tuple[Tried, ...]:
        """Send a test message to each receiver of a model, or of the deployment; nothing of it is kept."""
        terms = self._terms(model)
        test = Alert(
            key=f"test/{model}/{now.isoformat()}",
            kind=AlertKind.APPROVAL_WAITS,
            model=model,
            at=now,
            sentence="This is a test of Understudy's alerts; nothing happened and nothing has to be done.",
            page=page_of(model),
            runbook=terms.runbook,
            is_test=True,
        )
        return tuple(self._tried(receiver, test, terms) for receiver in terms.to)

    def _tried(self, receiver: str, test: Alert, terms: AlertTerms) -> Tried:
        try:
            send(receiver, test, terms.mail_to)
        except (NotTaken, ReceiverUnusable) as problem:
            return Tried(receiver=receiver, problem=problem.problem)
        return Tried(receiver=receiver, problem=None)

    def _begin(self, now: datetime) -> int:
        """Say after which entry to look; where nobody has looked yet, the past beyond the last hour stays untold."""
        looked_at = self.outbox.looked_at()
        if looked_at is not None:
            return looked_at
        newest = self._ledger.entries(kinds=TOLD_KINDS, limit=AT_ONCE, newest_first=True)
        past = [entry.seq for entry in newest if entry.at < now - LOOK_BACK]
        begin = max(past, default=newest[-1].seq - 1 if newest else 0)
        self.outbox.put((), up_to=begin)
        return begin

    def _was_done(self, failed: FailedRollback) -> bool:
        """Tell whether a rollback was recorded before its run failed; that it is served is watched for itself."""
        return bool(self._ledger.entries(failed.model, [EntryKind.DEPLOYED], run=failed.run, limit=1))

    def _address(self, now: datetime) -> int:
        """Name receivers for what a process put that knew none: its settings may be others than ours."""
        alerts = self.outbox.unaddressed(now - ADDRESS_WITHIN)
        return self.put([alert for alert in alerts if self._terms(alert.model).to])

    def _of_condition(self, one: Condition, since: datetime) -> Alert:
        return Alert(
            key=one.name if one.is_final else f"{one.name}/{since.isoformat()}",
            kind=one.kind,
            model=one.model,
            at=since,
            sentence=shortened(mask(one.sentence), LONGEST_LINE),
            seq=one.seq,
            page=one.page or page_of(one.model, one.seq),
            runbook=self._terms(one.model).runbook_of(one.kind, self._settings.alerts_runbooks),
        )

    def _terms(self, model: str) -> AlertTerms:
        return alert_terms(self._settings, model)
