"""Complete what an earlier touch left half done: a record without confirmation, aliases and tags that lag."""

import logging

from pydantic import Field

from understudy.contract.declared import Fact
from understudy.contract.release import Deployment
from understudy.contract.words import Alias
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import (
    ArtefactMissing,
    ArtefactTampered,
    RegistryRefused,
    RegistryUnavailable,
    UnknownVersion,
)
from understudy.hooks.registry import Registry

log = logging.getLogger(__name__)

LAGGING = (RegistryRefused, RegistryUnavailable, UnknownVersion)
UNVERIFIABLE = (ArtefactMissing, ArtefactTampered, *LAGGING)


class Repair(Fact):
    """Say what was found half done, and what still is."""

    model: str
    epoch: int | None
    confirmed_now: bool = False
    changed_aliases: dict[Alias, int | None] = Field(default_factory=dict)
    left: tuple[str, ...] = ()
    """What could not be repaired, one sentence each."""


def repair(deployments: Deployments, registry: Registry, model: str) -> Repair:
    """Confirm the record if its artefact is intact, and let aliases and tags follow; never move the record itself."""
    confirmed_now, unconfirmed = confirm_pending(deployments, registry, model)
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


def confirm_pending(deployments: Deployments, registry: Registry, model: str) -> tuple[bool, str | None]:
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
    confirm_verified(deployments, record, "repair")
    return True, None


def confirm_verified(deployments: Deployments, record: Deployment, actor: str) -> None:
    """Record that the champion's files, which the caller has verified, can be served."""
    deployments.confirm(
        record.model,
        record.epoch,
        actor,
        {"version": record.champion.version, "model_sha256": record.champion.model_sha256},
    )


def keep_at_hand(registry: Registry, record: Deployment) -> None:
    """Keep verified copies of champion and previous champion, so that a rollback needs no registry; drop older ones."""
    registry.forget_all_but(record)
    if record.previous is not None:
        try:
            registry.keep(record.previous)
        except UNVERIFIABLE as unverifiable:
            log.warning(
                "%s: version %s, the target of a rollback, is not at hand: %s",
                record.model,
                record.previous.version,
                unverifiable,
            )


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
