"""How long a canary may answer callers at this gateway while nobody comes by who could end it."""

import time
from datetime import datetime, timedelta, timezone

from pydantic import AwareDatetime

from understudy.contract.canary_lease import CanaryLapse
from understudy.contract.declared import Fact
from understudy.contract.release import Deployment
from understudy.contract.serving import ServingOrder
from understudy.gateway.errors import CanaryOver

SAVED_SHARE = 0.25
"""How much of a lease may be missing on disk: a renewal comes every second, and each writing waits for the disk."""


class Lease(Fact):
    """Say until when the canary of one record may answer."""

    epoch: int
    length_s: float
    until: AwareDatetime
    is_over: bool = False


class KeptOrder(ServingOrder):
    """Hold the order that a gateway follows, with what it must know after a restart of the order's canary."""

    lease: Lease | None = None
    lapses: tuple[CanaryLapse, ...] = ()
    """What the ledger does not know of, oldest first."""


class CanaryLease:
    """Count down for the canary of the record in force.

    By the monotonic clock, so that a clock that is set back prolongs nothing; on disk is a moment of the wall clock,
    which is never believed for longer than the lease's length. A lease that has run out is over for good: whoever wants
    the canary to answer again writes a new record.
    """

    def __init__(self, model: str, gateway: str) -> None:
        self._model, self._gateway = model, gateway
        self._lease: Lease | None = None
        self._saved_until: datetime | None = None
        self._ends_at = 0.0
        self.lapses: tuple[CanaryLapse, ...] = ()

    @property
    def has_run_out(self) -> bool:
        """Tell if there is a canary that has to end now."""
        return self._lease is not None and not self._lease.is_over and time.monotonic() >= self._ends_at

    @property
    def left_s(self) -> float | None:
        """Give the seconds that are left; None without a canary that answers."""
        if self._lease is None or self._lease.is_over:
            return None
        return round(max(self._ends_at - time.monotonic(), 0.0), 1)

    @property
    def is_unsaved(self) -> bool:
        """Tell if a restart would find much less of the lease than there is."""
        lease = self._lease
        if lease is None or lease.is_over or self._saved_until is None:
            return False
        return lease.until - self._saved_until > SAVED_SHARE * timedelta(seconds=lease.length_s)

    def of(self, order: ServingOrder) -> KeptOrder:
        """Say what to keep on disk with an order that is about to take effect, or that has."""
        record, known = order.record, self._lease
        if record.canary is None:
            lease = None
        elif known is not None and known.epoch == record.epoch:
            lease = known
        else:
            lease = _leased(record.epoch, order.terms.canary_lease_s)
        return KeptOrder(record=record, terms=order.terms, lease=lease, lapses=self.lapses)

    def follow(self, kept: KeptOrder) -> None:
        """Count for what was kept: just written, or found after a restart."""
        self._lease, self.lapses = kept.lease, kept.lapses
        if kept.record.canary is not None and (kept.lease is None or kept.lease.epoch != kept.record.epoch):
            # Nobody knows when it began, so it is over.
            now = datetime.now(timezone.utc)
            self._lease = Lease(epoch=kept.record.epoch, length_s=kept.terms.canary_lease_s, until=now)
        self._saved_until = None if self._lease is None else self._lease.until
        if self._lease is not None:
            left_s = (self._lease.until - datetime.now(timezone.utc)).total_seconds()
            self._ends_at = time.monotonic() + min(left_s, self._lease.length_s)

    def renew(self, epoch: int) -> None:
        """Begin to count anew: somebody came by who knows what the ledger says, or who could end it."""
        lease = self._lease
        if lease is None or lease.is_over or lease.epoch != epoch or self.has_run_out:
            return
        self._lease = _leased(epoch, lease.length_s)
        self._ends_at = time.monotonic() + lease.length_s

    def saved(self, kept: KeptOrder) -> None:
        """Take note of what is on disk."""
        self._saved_until = None if kept.lease is None else kept.lease.until

    def lapse(self, record: Deployment) -> None:
        """End what has run out."""
        if self._lease is None or record.canary is None:
            return
        self._lease = self._lease.model_copy(update={"is_over": True})
        told = CanaryLapse(
            model=self._model,
            gateway=self._gateway,
            at=datetime.now(timezone.utc),
            epoch=record.epoch,
            champion=record.champion.version,
            canary=record.canary,
            share=record.canary_share,
            lease_s=self._lease.length_s,
        )
        self.lapses = (*self.lapses, told)

    def reported(self, lapse: CanaryLapse) -> None:
        """Forget what the ledger knows."""
        self.lapses = tuple(known for known in self.lapses if known != lapse)

    def in_force(self, record: Deployment) -> Deployment:
        """Give a record as it takes effect here: a canary whose lease has run out answers nobody."""
        is_over = self._lease is not None and self._lease.is_over and self._lease.epoch == record.epoch
        return record.without_canary() if is_over else record

    def refuse(self, epoch: int) -> None:
        """Raise CanaryOver where the canary of a record has ended here by itself."""
        if self._lease is not None and self._lease.is_over and self._lease.epoch == epoch:
            raise CanaryOver(self._model, self._gateway)


def _leased(epoch: int, length_s: float) -> Lease:
    return Lease(epoch=epoch, length_s=length_s, until=datetime.now(timezone.utc) + timedelta(seconds=length_s))
