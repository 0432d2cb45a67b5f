"""Let a challenger answer a share of the callers, and let the share rise: records beside the champion."""

from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change
from understudy.hooks.beside import bring_beside, write_beside
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict, NothingServes, NothingToRehearse
from understudy.hooks.places.fleet import Fleet
from understudy.hooks.places.places import WAIT_S, Places
from understudy.hooks.registry.registry import Registry


def start_canary(  # noqa: PLR0917 - where, under which terms, what, how much: the order of the sentence
    deployments: Deployments,
    registry: Registry,
    gateways: Places,
    terms: ServingTerms,
    challenger: Bundle,
    share: float,
    *,
    champion_since: int,
    by: By,
    within_s: float = WAIT_S,
) -> Deployment:
    """Let a challenger answer a share of the callers and return the record; a retried run goes on where it was.

    What else is tried beside the champion is replaced. Raise NothingServes, NothingToRehearse, DigestDenied,
    ChampionLocked, ArtefactMissing, ArtefactTampered, or what :meth:`Places.prepare` raises, having changed nothing;
    EpochConflict where another champion serves; GatewayLagging as :func:`start_mirror`.

    :param champion_since: the epoch since which the champion serves that the challenger was judged against.
    """
    fleet = Fleet(gateways, terms)
    history = deployments.history(challenger.model)
    if not history:
        raise NothingServes(challenger.model)
    newest = history[-1].deployment
    if newest.champion_since != champion_since:
        raise EpochConflict(challenger.model, champion_since, newest.champion_since)
    if history[-1].run == by.run and newest.canary == challenger:
        return bring_beside(deployments, registry, fleet, newest, by.actor, within_s)
    if newest.champion.model_sha256 == challenger.model_sha256:
        raise NothingToRehearse(challenger.model, challenger.version, newest.champion.version)
    registry.keep(challenger)
    fleet.prepare(challenger)
    record = write_beside(deployments, newest, Change.CANARY_STARTED, challenger, share, by=by)
    return bring_beside(deployments, registry, fleet, record, by.actor, within_s)


def step_canary(  # noqa: PLR0917 - as start_canary
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
    """Give the canary of a run a larger share and return the record; one that it has already is only confirmed.

    Raise EpochConflict where that canary is over; ChampionLocked, DigestDenied, GatewayLagging as :func:`start_canary`.
    """
    newest = deployments.history(challenger.model)[-1]
    record = newest.deployment
    if newest.run != by.run or record.canary != challenger:
        raise EpochConflict(challenger.model, record.epoch - 1, record.epoch)
    if record.canary_share < share:
        record = write_beside(deployments, record, Change.CANARY_STEPPED, challenger, share, by=by)
    return bring_beside(deployments, registry, Fleet(gateways, terms), record, by.actor, within_s)
