"""Let a version answer the same requests unseen: a record beside the champion."""

from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change
from understudy.hooks.beside import bring_beside, write_beside
from understudy.hooks.deployments import Deployments, Served
from understudy.hooks.errors import NothingServes, NothingToRehearse
from understudy.hooks.places.fleet import Fleet
from understudy.hooks.places.places import WAIT_S, Places
from understudy.hooks.registry.registry import Registry


def start_mirror(  # noqa: PLR0917 - where, under which terms, what, how much: the order of the sentence
    deployments: Deployments,
    registry: Registry,
    gateways: Places,
    terms: ServingTerms,
    challenger: Bundle,
    share: float,
    *,
    by: By,
    within_s: float = WAIT_S,
) -> Deployment:
    """Rehearse a challenger on a share of the champion's requests and return the record; a retried run gets the same.

    A mirror or canary that is there already is replaced, since a run that was killed cannot end its own. Raise
    NothingServes, NothingToRehearse, DigestDenied, ArtefactMissing, ArtefactTampered, or what :meth:`Places.prepare`
    raises, having changed nothing; EpochConflict where the champion changed meanwhile; GatewayLagging where a gateway
    does not mirror within ``within_s`` seconds (the record stands, and the next call of the same run completes it).
    """
    fleet = Fleet(gateways, terms)
    history = deployments.history(challenger.model)
    record = _mirrored_by(history, challenger, share, by.run)
    if record is None:
        if not history:
            raise NothingServes(challenger.model)
        champion = history[-1].deployment.champion
        if champion.model_sha256 == challenger.model_sha256:
            raise NothingToRehearse(challenger.model, challenger.version, champion.version)
        registry.keep(challenger)
        fleet.prepare(challenger)
        record = write_beside(deployments, history[-1].deployment, Change.MIRROR_STARTED, challenger, share, by=by)
    return bring_beside(deployments, registry, fleet, record, by.actor, within_s)


def _mirrored_by(history: list[Served], challenger: Bundle, share: float, run: str | None) -> Deployment | None:
    """Return the newest record if this run wrote it for this very mirror."""
    if not history or history[-1].run != run:
        return None
    record = history[-1].deployment
    is_same = record.change is Change.MIRROR_STARTED and (record.mirror, record.mirror_share) == (challenger, share)
    return record if is_same else None
