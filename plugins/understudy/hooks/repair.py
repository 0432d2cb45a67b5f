"""Complete what an earlier touch left half done: a record without confirmation, aliases and tags that lag."""

import logging

from pydantic import Field

from understudy.contract.declared import Fact
from understudy.contract.release import Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Alias
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict
from understudy.hooks.places.fleet import Fleet, confirm_verified, fleet_of
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.hooks.places.places import Places
from understudy.hooks.registry.errors import (
    ArtefactMissing,
    ArtefactTampered,
    RegistryRefused,
    RegistryUnavailable,
    SignatureRefused,
    UnknownVersion,
)
from understudy.hooks.registry.registry import Registry

log = logging.getLogger(__name__)

LAGGING = (RegistryRefused, RegistryUnavailable, UnknownVersion)
WAIT_S = 5.0
"""How long a repair waits for a gateway: it comes before what somebody has asked for."""
UNVERIFIABLE = (ArtefactMissing, ArtefactTampered, SignatureRefused, *LAGGING)


class Repair(Fact):
    """Say what was found half done, and what still is."""

    model: str
    epoch: int | None
    confirmed_now: bool = False
    changed_aliases: dict[Alias, int | None] = Field(default_factory=dict)
    left: tuple[str, ...] = ()
    """What could not be repaired, one sentence each."""


def repair(
    deployments: Deployments,
    registry: Registry,
    model: str,
    gateways: Places | None = None,
    terms: ServingTerms | None = None,
) -> Repair:
    """Confirm the record if its artefact is intact, and let aliases and tags follow; never move the record itself.

    The record of a model that gateways serve is confirmed only when all of them acknowledge it.
    """
    confirmed_now, unconfirmed = confirm_pending(deployments, registry, model, fleet_of(gateways, terms))
    changed, lagging = reconcile(deployments, registry, model)
    record = deployments.current(model)
    done = Repair(
        model=model,
        epoch=record.epoch if record else None,
        confirmed_now=confirmed_now,
        changed_aliases=changed,
        left=tuple(problem for problem in (unconfirmed, lagging) if problem),
    )
    if confirmed_now or changed:
        log.warning("%s: completed what an earlier touch left behind: %s", model, done)
    return done


def confirm_pending(
    deployments: Deployments, registry: Registry, model: str, fleet: Fleet | None = None
) -> tuple[bool, str | None]:
    """Confirm a record that has no confirmation; return whether that was done now, or why it is impossible."""
    history = deployments.history(model)
    if not history or history[-1].is_confirmed:
        return False, None
    record = history[-1].deployment
    try:
        registry.keep(record.champion)
    except UNVERIFIABLE as unverifiable:
        problem = f"epoch {record.epoch} stays unconfirmed: {unverifiable}"
        log.warning("%s: %s", model, problem)
        return False, problem
    if fleet is None:
        confirm_verified(deployments, record, "repair")
        return True, None
    try:
        brought, confirmation = fleet.bring(deployments, record, "repair", WAIT_S)
    except EpochConflict:
        return False, None  # somebody moved on; the newer record is theirs to confirm
    if confirmation.lagging:
        late = GatewayLagging(model, brought.epoch, brought.champion.version, confirmation.lagging, confirmation.acks)
        log.warning("%s: epoch %s stays unconfirmed: %s", model, brought.epoch, late)
        return False, f"epoch {brought.epoch} stays unconfirmed: {late}"
    return True, None


def keep_at_hand(registry: Registry, record: Deployment) -> None:
    """Keep verified copies of all that the record names, so that a rollback needs no registry; drop older ones."""
    registry.forget_all_but(record)
    beside = (
        (record.previous, "the target of a rollback"),
        (record.mirror, "the mirror"),
        (record.canary, "the canary"),
    )
    for bundle, what in beside:
        if bundle is not None:
            try:
                registry.keep(bundle)
            except UNVERIFIABLE as unverifiable:
                log.warning("%s: version %s, %s, is not at hand: %s", record.model, bundle.version, what, unverifiable)


def reconcile(deployments: Deployments, registry: Registry, model: str) -> tuple[dict[Alias, int | None], str | None]:
    """Let MLflow's aliases and tags follow the record; return what changed, and what still lags, if anything.

    MLflow only reports the truth, so its failure is told and left to the next touch; it never undoes a record.
    """
    changed: dict[Alias, int | None] = {}
    try:
        record = deployments.current(model)
        while record is not None:
            changed.update(registry.follow(record))
            # Aliases are last-writer-wins: somebody who wrote a newer record meanwhile may have been overwritten.
            newest = deployments.current(model)
            record = None if newest == record else newest
        for denial in deployments.denials(model):
            if denial.version is not None:
                registry.mark_denied(model, denial.version, denial.data_version, denial.reason)
    except LAGGING as lagging:
        problem = f"the registry's aliases or tags lag behind the record: {lagging}"
        log.warning("%s: %s", model, problem)
        return changed, problem
    return changed, None
