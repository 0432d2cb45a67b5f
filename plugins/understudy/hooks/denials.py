"""Denials: an artefact that was rolled back must not serve again, under whatever version number it returns."""

from understudy.contract.by import By
from understudy.contract.declared import Fact
from understudy.contract.release import Bundle, LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks.ledger.pen import LedgerPen


class Denial(Fact):
    """Say that an artefact must not serve again."""

    digest: str
    version: int | None
    data_version: str | None
    """The data that trained it; suspect as well."""
    reason: str


def denials_in(entries: list[LedgerEntry]) -> dict[str, Denial]:
    """Read what is denied, oldest first, by digest."""
    return {
        denial.digest: denial
        for entry in entries
        for denial in (Denial.model_validate({**entry.facts, "reason": entry.reason}),)
    }


def write_denial(pen: LedgerPen, model: str, digest: str, bundle: Bundle | None, *, by: By) -> LedgerEntry:
    """Write a denial, once, within the transaction of a pen."""
    facts = {
        "digest": digest,
        "version": bundle.version if bundle else None,
        "data_version": bundle.data_version if bundle else None,
    }
    return pen.append(
        model, EntryKind.DENIED, by.actor, by.reason, run=by.run, facts=facts, once_key=f"denied:{model}:{digest}"
    )
