"""What a person does to a model beside rolling it back: hold, release, lock, unlock, stop what is tried."""

from typing import Any

from understudy.contract.by import By
from understudy.contract.declared import Fact
from understudy.contract.reason import REASON_LIMIT, reason_problem
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import Action, Change, EntryKind
from understudy.hooks.beside import end_beside, write_beside
from understudy.hooks.connect import Hooks
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import (
    EpochConflict,
    HeldAlready,
    LockedAlready,
    NotHeld,
    NothingServes,
    NothingTried,
    NotLocked,
    ReasonMissing,
)
from understudy.hooks.holds import HOLDING, hold_in
from understudy.hooks.known_models import refuse_unknown
from understudy.hooks.ledger.schema import LEDGER
from understudy.hooks.locks import locks_in
from understudy.hooks.registry.errors import UnknownVersion

TOLD = (*HOLDING, EntryKind.LOCKED, EntryKind.UNLOCKED, EntryKind.DEPLOYED)
"""What decides whether an act makes sense."""


class Acted(Fact):
    """Say what an act did, or would do."""

    action: Action
    model: str
    version: int | None = None
    """The version that it is about; none where it is about the model."""
    is_dry_run: bool = False
    sentence: str


def act(
    hooks: Hooks,
    action: Action,
    model: str,
    version: int | None = None,
    *,
    by: By,
    is_dry_run: bool = False,
) -> Acted:
    """Do what a person asked for, once for each run, and say what that means; with a dry run only say it.

    ``version`` is what to lock or unlock, by default the champion. Whether the act makes sense is decided in the
    transaction that records it, so that of two people at once the second is told. Raise UnknownModel, ReasonMissing,
    HeldAlready, NotHeld, LockedAlready, NotLocked, UnknownVersion, NothingServes or NothingTried, having changed
    nothing.
    """
    if reason_problem(by.reason) is not None:
        raise ReasonMissing(action.spoken, by.reason, REASON_LIMIT)
    refuse_unknown(hooks, model)
    if action is Action.STOP_SHADOW:
        return _stop(hooks, model, by=by, is_dry_run=is_dry_run)
    ledger = hooks.ledger
    if is_dry_run:
        _, acted = decide(action, model, version, ledger.entries(model, TOLD))
        return acted.model_copy(update={"is_dry_run": True})
    key = f"{action}:{model}:{by.run}" if by.run else None
    with ledger.writing() as pen:
        done = pen.entries(LEDGER.c.once_key == key) if key else []
        if done:
            return Acted.model_validate(done[0].facts["acted"])
        told = pen.entries(LEDGER.c.model == model, LEDGER.c.kind.in_([kind.value for kind in TOLD]))
        kind, acted = decide(action, model, version, told)
        facts: dict[str, Any] = {"acted": acted.model_dump(mode="json"), **by.airflow_facts}
        if action.is_about_a_version:
            facts["version"] = acted.version
        pen.append(model, kind, by.actor, by.reason, run=by.run, facts=facts, once_key=key)
    return acted


def decide(action: Action, model: str, version: int | None, told: list[LedgerEntry]) -> tuple[EntryKind, Acted]:
    """Say what an act would be recorded as, and what it means, from what was told so far, oldest first."""
    if not action.is_about_a_version:
        return _decide_about_model(action, model, told)
    served = [entry.deployment for entry in told if entry.kind is EntryKind.DEPLOYED]
    locks = locks_in([entry for entry in told if entry.kind in {EntryKind.LOCKED, EntryKind.UNLOCKED}])
    chosen = version or (served[-1].champion.version if served else None)
    if chosen is None:
        raise NothingServes(model)
    if action is Action.UNLOCK:
        if chosen not in locks:
            raise NotLocked(model, chosen, sorted(locks))
        sentence = f"version {chosen} of {model} can be replaced again"
        return EntryKind.UNLOCKED, Acted(action=action, model=model, version=chosen, sentence=sentence)
    if chosen in locks:
        raise LockedAlready(model, chosen, locks[chosen])
    if chosen not in {record.champion.version for record in served}:
        raise UnknownVersion(model, chosen, "has never served, so there is nothing to lock")
    sentence = f"version {chosen} of {model} is locked: while it serves, no promotion and no rollback replaces it"
    return EntryKind.LOCKED, Acted(action=action, model=model, version=chosen, sentence=sentence)


def _decide_about_model(action: Action, model: str, told: list[LedgerEntry]) -> tuple[EntryKind, Acted]:
    hold = hold_in([entry for entry in reversed(told) if entry.kind in HOLDING])
    if action is Action.HOLD:
        if hold is not None:
            raise HeldAlready(model, hold.actor, hold.at, hold.reason)
        sentence = (
            f"{model} is held: it is retrained and judged, and no challenger is promoted; a rollback stays possible"
        )
        return EntryKind.HELD, Acted(action=action, model=model, sentence=sentence)
    if hold is None:
        raise NotHeld(model)
    sentence = f"{model} is released from the hold by {hold.actor} ({hold.reason}): challengers can be promoted again"
    return EntryKind.RELEASED, Acted(action=action, model=model, sentence=sentence)


def _stop(hooks: Hooks, model: str, *, by: By, is_dry_run: bool) -> Acted:
    """End the mirror or the canary, whoever began it."""
    while True:
        history = hooks.deployments.history(model)
        if not history:
            raise NothingServes(model)
        mine = next(
            (index for index, served in enumerate(history) if by.run is not None and served.run == by.run), None
        )
        record = history[-1 if mine is None else mine - 1].deployment
        acted, change = _stopped(model, record), _end_of(record)
        if is_dry_run:
            return acted.model_copy(update={"is_dry_run": True})
        if mine is not None or _wrote_the_end(hooks.deployments, record, by=by):
            break
    # Also where an earlier try of the same run died before the gateways heard of it.
    places, terms = hooks.served_now(model)
    end_beside(hooks.deployments, hooks.registry, places, terms, model, change, by=by)
    return acted


def _stopped(model: str, record: Deployment) -> Acted:
    tried = record.mirror or record.canary
    if tried is None:
        raise NothingTried(model)
    told = (
        f"the canary of version {tried.version} is over: the champion answers all callers of {model}"
        if record.canary is not None
        else f"version {tried.version} no longer answers the requests of {model} unseen"
    )
    return Acted(action=Action.STOP_SHADOW, model=model, version=tried.version, sentence=told)


def _end_of(record: Deployment) -> Change:
    return Change.MIRROR_ENDED if record.canary is None else Change.CANARY_ENDED


def _wrote_the_end(deployments: Deployments, record: Deployment, *, by: By) -> bool:
    """Write the record that ends it; tell whether nobody was faster."""
    try:
        write_beside(deployments, record, _end_of(record), by=by)
    except EpochConflict:
        return False
    return True
