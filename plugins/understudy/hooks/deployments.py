"""The truth about what serves: one epoch-guarded record per model, kept in the ledger."""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from understudy.contract.by import By
from understudy.contract.declared import Fact
from understudy.contract.release import Bundle, Deployment, LedgerEntry
from understudy.contract.serving import Acknowledgement, ServingTerms
from understudy.contract.words import EntryKind
from understudy.hooks.denials import Denial, denials_in, write_denial
from understudy.hooks.errors import ChampionLocked, DigestDenied, EpochConflict, ModelHeld
from understudy.hooks.holds import HOLDING, Hold, hold_in
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.ledger.pen import LedgerPen
from understudy.hooks.ledger.schema import LEDGER
from understudy.hooks.locks import locks_in

_ACKS: TypeAdapter[tuple[Acknowledgement, ...]] = TypeAdapter(tuple[Acknowledgement, ...])


class Served(Fact):
    """Say that a version served, since when, by whose decision, and whether that was confirmed."""

    deployment: Deployment
    at: datetime
    actor: str
    reason: str
    run: str | None
    is_confirmed: bool


class Deployments:
    """Read and move the deployment records.

    *Locked*: a person has decided that this version stays champion. A locked version that serves can be replaced
    neither by a promotion nor by a rollback; both refuse and say "unlock it first". There is no force: unlocking is one
    command, and it leaves a reason in the ledger. A lock on a version that does not serve takes effect when it does.
    Break-glass alone goes past a lock: gateways know of none, and the record follows what callers already get.

    *Held*: a person has decided that no challenger of this model reaches callers, whichever version serves. It is
    retrained, judged and rehearsed as before, and a rollback stays possible.

    *Denied*: an artefact, named by its digest, that was rolled back. It is never promoted or rolled back to again,
    under whatever version number it returns.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def current(self, model: str) -> Deployment | None:
        """Return the record of the highest epoch: what serves."""
        newest = self.ledger.entries(model, [EntryKind.DEPLOYED], limit=1, newest_first=True)
        return newest[0].deployment if newest else None

    def all_current(self) -> list[Deployment]:
        """Return what serves of every model, in one query."""
        return [entry.deployment for entry in self.ledger.newest(EntryKind.DEPLOYED)]

    def confirmed(self, model: str) -> Deployment | None:
        """Return the newest record that was confirmed."""
        return next((served.deployment for served in reversed(self.history(model)) if served.is_confirmed), None)

    def history(self, model: str) -> list[Served]:
        """Return all records, oldest first, those that only changed what is beside the champion included."""
        entries = self.ledger.entries(model, [EntryKind.DEPLOYED, EntryKind.CONFIRMED])
        confirmed = {entry.facts["epoch"] for entry in entries if entry.kind is EntryKind.CONFIRMED}
        return [
            Served(
                deployment=record,
                at=entry.at,
                actor=entry.actor,
                reason=entry.reason,
                run=entry.run,
                is_confirmed=record.epoch in confirmed,
            )
            for entry in entries
            if entry.kind is EntryKind.DEPLOYED
            for record in (entry.deployment,)
        ]

    def acknowledged(self, model: str, epoch: int) -> tuple[Acknowledgement, ...]:
        """Return the acknowledgements by which a record was confirmed; none without gateways or confirmation."""
        confirmed = self.ledger.entries(model, [EntryKind.CONFIRMED], newest_first=True)
        facts = next((entry.facts for entry in confirmed if entry.facts["epoch"] == epoch), {})
        return tuple(_ACKS.validate_python(facts.get("acks", ())))

    def last_terms(self, model: str) -> ServingTerms | None:
        """Return under which terms gateways served the model last, so that a broken declaration stops no rollback."""
        confirmed = self.ledger.entries(model, [EntryKind.CONFIRMED], newest_first=True)
        terms = next((entry.facts["terms"] for entry in confirmed if entry.facts.get("terms")), None)
        return ServingTerms.model_validate(terms) if terms else None

    def deploy(
        self,
        deployment: Deployment,
        over_epoch: int,
        by: By,
        *,
        deny: Bundle | None = None,
        past_lock: bool = False,
    ) -> LedgerEntry:
        """Write the record of epoch ``over_epoch + 1`` if ``over_epoch`` (0 for none) still is the newest.

        ``deny`` names the bundle whose digest is denied in the same transaction; ``past_lock`` is for what a gateway
        has done already. Raise EpochConflict, ModelHeld, ChampionLocked or DigestDenied, having written nothing. A
        record that leaves the champion and its callers as they are may be written beside a locked one.

        """
        model = deployment.model
        if deployment.epoch != over_epoch + 1:
            raise EpochConflict(model, over_epoch, deployment.epoch)
        with self.ledger.writing() as pen:
            newest = _read(pen, model, EntryKind.DEPLOYED, newest_first=True, limit=1)
            found = newest[0].deployment if newest else None
            if (found.epoch if found else 0) != over_epoch:
                raise EpochConflict(model, over_epoch, found.epoch if found else 0)
            if deployment.change.is_held:
                _refuse_if_held(model, hold_in(_read(pen, model, *HOLDING, newest_first=True, limit=1)))
            denials = denials_in(_read(pen, model, EntryKind.DENIED))
            if deployment.change.moves_champion:
                locks = {} if past_lock else locks_in(_read(pen, model, EntryKind.LOCKED, EntryKind.UNLOCKED))
                _refuse(deployment.champion, found, locks, denials)
            elif deployment.mirror is not None:
                _refuse(deployment.mirror, None, {}, denials)
            elif deployment.canary is not None:
                # It takes callers away from the champion, which a lock forbids.
                locks = locks_in(_read(pen, model, EntryKind.LOCKED, EntryKind.UNLOCKED))
                _refuse(deployment.canary, found, locks, denials)
            if deny is not None:
                write_denial(pen, model, deny.model_sha256, deny, by=by)
            return pen.append(
                model,
                EntryKind.DEPLOYED,
                by.actor,
                by.reason,
                run=by.run,
                facts={
                    "epoch": deployment.epoch,
                    "deployment": deployment.model_dump(mode="json"),
                    **by.airflow_facts,
                },
                once_key=f"deployed:{model}:{deployment.epoch}",
            )

    def refuse(self, champion: Bundle) -> None:
        """Raise ModelHeld, ChampionLocked or DigestDenied if ``champion`` could not be promoted now."""
        _refuse_if_held(champion.model, self.held(champion.model))
        _refuse(
            champion,
            self.current(champion.model),
            self.locked(champion.model),
            {denial.digest: denial for denial in self.denials(champion.model)},
        )

    def confirm(self, model: str, epoch: int, actor: str, facts: dict[str, Any]) -> LedgerEntry:
        """Record, once, that what the record says does serve."""
        return self.ledger.append_once(
            f"confirmed:{model}:{epoch}",
            model,
            EntryKind.CONFIRMED,
            actor,
            f"epoch {epoch} serves",
            facts={**facts, "epoch": epoch},
        )

    def deny(
        self,
        model: str,
        digest: str,
        by: By,
        *,
        bundle: Bundle | None = None,
    ) -> LedgerEntry:
        """Record, once, that an artefact must not serve again; ``bundle`` also names its version and data."""
        with self.ledger.writing() as pen:
            return write_denial(pen, model, digest, bundle, by=by)

    def denials(self, model: str) -> list[Denial]:
        """Return what must not serve again, oldest first."""
        return list(denials_in(self.ledger.entries(model, [EntryKind.DENIED])).values())

    def denied(self, model: str) -> dict[str, str]:
        """Map denied digests to the reasons."""
        return {denial.digest: denial.reason for denial in self.denials(model)}

    def locked(self, model: str) -> dict[int, str]:
        """Map locked versions to the reasons."""
        return locks_in(self.ledger.entries(model, [EntryKind.LOCKED, EntryKind.UNLOCKED]))

    def held(self, model: str) -> Hold | None:
        """Say who keeps the model from being promoted, if anybody does."""
        return hold_in(self.ledger.entries(model, HOLDING, limit=1, newest_first=True))


def _read(
    pen: LedgerPen,
    model: str,
    *kinds: EntryKind,
    newest_first: bool = False,
    limit: int | None = None,
) -> list[LedgerEntry]:
    return pen.entries(
        LEDGER.c.model == model,
        LEDGER.c.kind.in_([kind.value for kind in kinds]),
        newest_first=newest_first,
        limit=limit,
    )


def _refuse(champion: Bundle, serving: Deployment | None, locks: dict[int, str], denials: dict[str, Denial]) -> None:
    if serving is not None and serving.champion.version in locks:
        version = serving.champion.version
        raise ChampionLocked(champion.model, version, locks[version])
    denial = denials.get(champion.model_sha256)
    if denial is not None:
        raise DigestDenied(champion.model, champion.version, denial.digest, denial.reason)


def _refuse_if_held(model: str, hold: Hold | None) -> None:
    if hold is not None:
        raise ModelHeld(model, hold.actor, hold.at, hold.reason)
