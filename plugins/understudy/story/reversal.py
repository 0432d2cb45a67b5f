"""How long the way back took, from what the ledger and the callers noted at the time."""

from collections.abc import Callable
from datetime import datetime

from understudy.contract.declared import Fact
from understudy.contract.release import LedgerEntry
from understudy.contract.words import Change, EntryKind, Verdict


class Reversal(Fact):
    """Say when a fault was seen, and how soon after that nobody was served by the version any more."""

    version: int
    """What was taken back."""
    detected_s: float
    """From the fault to the guard's verdict."""
    confirmed_ms: float
    """From the verdict to the moment when all gateways had acknowledged the version before."""
    flip_ms: float
    """What the change took at the gateway, the slowest one."""
    confirmed_at: datetime


def reversal_of(entries: list[LedgerEntry], fault_at: datetime) -> Reversal | None:
    """Read the first rollback after a fault; None where there was none, or it was not confirmed."""
    later = [entry for entry in entries if entry.at >= fault_at]
    breach = _first(later, EntryKind.GUARDED, lambda entry: entry.facts.get("verdict") == Verdict.FAILED.value)
    back = _first(later, EntryKind.DEPLOYED, lambda entry: entry.deployment.change is Change.ROLLBACK)
    if breach is None or back is None:
        return None
    epoch = back.facts["epoch"]
    confirmed = _first(later, EntryKind.CONFIRMED, lambda entry: entry.facts.get("epoch") == epoch)
    denied = _first(later, EntryKind.DENIED, lambda entry: entry.facts.get("version") is not None)
    flips = _flips(confirmed) if confirmed else []
    if confirmed is None or denied is None or not flips:
        return None
    return Reversal(
        version=int(str(denied.facts["version"])),
        detected_s=(breach.at - fault_at).total_seconds(),
        confirmed_ms=1000 * (confirmed.at - breach.at).total_seconds(),
        flip_ms=max(flips),
        confirmed_at=confirmed.at,
    )


def _flips(confirmed: LedgerEntry) -> list[float]:
    acks = confirmed.facts.get("acks")
    return [float(str(ack["flip_ms"])) for ack in acks if isinstance(ack, dict)] if isinstance(acks, list) else []


def _first(entries: list[LedgerEntry], kind: EntryKind, fits: Callable[[LedgerEntry], bool]) -> LedgerEntry | None:
    return next((entry for entry in entries if entry.kind is kind and fits(entry)), None)
