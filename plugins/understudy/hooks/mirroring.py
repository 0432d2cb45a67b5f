"""Let a version answer the same requests unseen, and stop that again: records beside the champion."""

import logging

from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change
from understudy.hooks.deployments import Deployments, Served
from understudy.hooks.errors import EpochConflict, NothingServes, NothingToRehearse
from understudy.hooks.fleet import Fleet, fleet_of
from understudy.hooks.gateway_errors import GatewayLagging
from understudy.hooks.places import WAIT_S, Places
from understudy.hooks.registry import Registry
from understudy.hooks.repair import reconcile

log = logging.getLogger(__name__)


def start_mirror(  # noqa: PLR0917 - where, under which terms, what, how much: the order of the sentence
    deployments: Deployments,
    registry: Registry,
    gateways: Places,
    terms: ServingTerms,
    challenger: Bundle,
    share: float,
    *,
    actor: str,
    reason: str,
    run: str | None,
    within_s: float = WAIT_S,
) -> Deployment:
    """Rehearse a challenger on a share of the champion's requests and return the record; a retried run gets the same.

    A mirror that is there already is replaced, since a run that was killed cannot end its own. Raise NothingServes,
    NothingToRehearse, DigestDenied, ArtefactMissing, ArtefactTampered, or what :meth:`Places.prepare` raises, having
    changed nothing; EpochConflict where the champion changed meanwhile; GatewayLagging where a gateway does not mirror
    within ``within_s`` seconds (the record stands, and the next call of the same run completes it).
    """
    fleet = Fleet(gateways, terms)
    history = deployments.history(challenger.model)
    record = _mirrored_by(history, challenger, share, run)
    if record is None:
        if not history:
            raise NothingServes(challenger.model)
        if history[-1].deployment.champion.model_sha256 == challenger.model_sha256:
            raise NothingToRehearse(challenger.model, challenger.version)
        registry.keep(challenger)
        fleet.prepare(challenger)
        record = _written(
            deployments, history, Change.MIRROR_STARTED, challenger, share, actor=actor, reason=reason, run=run
        )
    record, confirmation = fleet.bring(deployments, record, actor, within_s)
    if confirmation.lagging:
        raise GatewayLagging(
            record.model, record.epoch, record.champion.version, confirmation.lagging, confirmation.acks
        )
    reconcile(deployments, registry, record.model)
    return record


def end_mirror(
    deployments: Deployments,
    registry: Registry,
    gateways: Places | None,
    terms: ServingTerms | None,
    model: str,
    *,
    actor: str,
    reason: str,
    run: str | None,
    within_s: float = WAIT_S,
) -> Deployment | None:
    """End the mirror that a run began and return the record; None where that mirror is gone already.

    Without a run, end whatever mirror is there. A gateway that does not follow in time is only reported: the record
    says that there is no mirror, and its follower brings it the news.
    """
    history = deployments.history(model)
    if not history or run not in {None, history[-1].run}:
        return None
    newest = history[-1]
    if newest.deployment.mirror is None:
        if newest.deployment.change is not Change.MIRROR_ENDED or newest.is_confirmed:
            return None
        record = newest.deployment
    else:
        try:
            record = _written(deployments, history, Change.MIRROR_ENDED, None, 0.0, actor=actor, reason=reason, run=run)
        except EpochConflict:
            return None  # a newer record replaced the mirror or moved the champion
    fleet = fleet_of(gateways, terms or deployments.last_terms(model))
    if fleet is not None:
        try:
            record, confirmation = fleet.bring(deployments, record, actor, within_s)
        except EpochConflict:
            return record
        for late in confirmation.lagging:
            log.warning("%s: gateway %s may still mirror: %s", model, late.gateway, late.problem)
    reconcile(deployments, registry, model)
    return record


def _mirrored_by(history: list[Served], challenger: Bundle, share: float, run: str | None) -> Deployment | None:
    """Return the newest record if this run wrote it for this very mirror."""
    if not history or history[-1].run != run:
        return None
    record = history[-1].deployment
    is_same = record.change is Change.MIRROR_STARTED and (record.mirror, record.mirror_share) == (challenger, share)
    return record if is_same else None


def _written(
    deployments: Deployments,
    history: list[Served],
    change: Change,
    mirror: Bundle | None,
    share: float,
    *,
    actor: str,
    reason: str,
    run: str | None,
) -> Deployment:
    """Write a record that differs from the newest one in its mirror only."""
    newest = history[-1].deployment
    if newest.mirror is not None and mirror is not None:
        log.warning("%s: version %s is no longer mirrored", newest.model, newest.mirror.version)
    record = newest.model_copy(
        update={"epoch": newest.epoch + 1, "change": change, "mirror": mirror, "mirror_share": share}
    )
    deployments.deploy(Deployment.model_validate(record.model_dump()), newest.epoch, actor, reason, run)
    return record
