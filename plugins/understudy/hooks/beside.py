"""Records beside the champion: it stays, and another version is tried next to it. There is one at a time."""

import logging

from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change
from understudy.hooks.deployments import Deployments, Served
from understudy.hooks.errors import EpochConflict
from understudy.hooks.places.fleet import Fleet, fleet_of
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.hooks.places.places import WAIT_S, Places
from understudy.hooks.registry.registry import Registry
from understudy.hooks.repair import reconcile

log = logging.getLogger(__name__)


def write_beside(
    deployments: Deployments,
    newest: Deployment,
    change: Change,
    tried: Bundle | None = None,
    share: float = 0.0,
    *,
    by: By,
) -> Deployment:
    """Write a record that differs from the newest one only in what is tried beside its champion.

    :param tried: the mirror or the canary, by the change; nothing is tried any more when absent.
    :raises EpochConflict, DigestDenied, ChampionLocked: as :meth:`Deployments.deploy`.
    """
    replaced = newest.mirror or newest.canary
    if replaced is not None and tried is not None and replaced != tried:
        log.warning("%s: version %s is no longer tried", newest.model, replaced.version)
    mirror, canary = (None, tried) if change.widens_canary else (tried, None)
    record = newest.model_copy(
        update={
            "epoch": newest.epoch + 1,
            "change": change,
            "mirror": mirror,
            "mirror_share": share if mirror else 0.0,
            "canary": canary,
            "canary_share": share if canary else 0.0,
        }
    )
    deployments.deploy(Deployment.model_validate(record.model_dump()), newest.epoch, by)
    return record


def bring_beside(  # noqa: PLR0917 - the truth, the registry and the gateways are one place each
    deployments: Deployments, registry: Registry, fleet: Fleet, record: Deployment, actor: str, within_s: float
) -> Deployment:
    """Have all gateways follow such a record, and return it or a newer one of the same champion.

    :raises GatewayLagging: where one does not within ``within_s`` seconds; the record stands.
    :raises EpochConflict: where another champion serves by now.
    """
    brought, confirmation = fleet.bring(deployments, record, actor, within_s)
    if confirmation.lagging:
        raise GatewayLagging(
            brought.model, brought.epoch, brought.champion.version, confirmation.lagging, confirmation.acks
        )
    reconcile(deployments, registry, brought.model)
    return brought


def end_beside(  # noqa: PLR0917 - as bring_beside
    deployments: Deployments,
    registry: Registry,
    gateways: Places | None,
    terms: ServingTerms | None,
    model: str,
    change: Change,
    *,
    by: By,
    within_s: float = WAIT_S,
) -> Deployment | None:
    """End what a run tries beside the champion and return the record; None where that is gone already.

    ``change`` says which of both is meant: the end of a mirror, or that of a canary. Without a run, end it whoever
    began it. A gateway that does not follow in time is only reported: the record says that nothing is tried, and its
    follower brings it the news.
    """
    record = _ended(deployments, model, change, by=by)
    if record is None:
        return None
    fleet = fleet_of(gateways, terms or deployments.last_terms(model))
    if fleet is not None:
        try:
            record, confirmation = fleet.bring(deployments, record, by.actor, within_s)
        except EpochConflict:
            return record
        for late in confirmation.lagging:
            log.warning("%s: gateway %s may not have ended it yet: %s", model, late.gateway, late.problem)
    reconcile(deployments, registry, model)
    return record


def _ended(deployments: Deployments, model: str, change: Change, *, by: By) -> Deployment | None:
    while True:
        newest = _newest_of(deployments.history(model), by.run)
        if newest is None:
            return None
        record = newest.deployment
        if _tried(record, change) is None:
            return None if record.change is not change or newest.is_confirmed else record
        try:
            return write_beside(deployments, record, change, by=by)
        except EpochConflict:
            continue  # a newer record ended it, or only gave it another share


def _newest_of(history: list[Served], run: str | None) -> Served | None:
    return history[-1] if history and run in {None, history[-1].run} else None


def _tried(record: Deployment, ended: Change) -> Bundle | None:
    return record.canary if ended is Change.CANARY_ENDED else record.mirror
