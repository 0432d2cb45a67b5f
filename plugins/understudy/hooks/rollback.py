"""Take a model back to what served before: the whole bundle, verified before anything moves."""

import logging

from understudy.contract.by import By
from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.reason import is_seen
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change
from understudy.hooks.deployments import Deployments, Served
from understudy.hooks.errors import (
    ChampionLocked,
    EpochConflict,
    NothingServes,
    NothingToRollBackTo,
    ReasonMissing,
    UnfitTarget,
)
from understudy.hooks.places.errors import TargetRefused
from understudy.hooks.places.fleet import Fleet, confirm_verified, fleet_of
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.hooks.places.places import WAIT_S, Places
from understudy.hooks.registry.errors import ArtefactMissing, ArtefactTampered, SignatureRefused, UnknownVersion
from understudy.hooks.registry.registry import Registry
from understudy.hooks.reigns import fit_instead, reigns
from understudy.hooks.repair import UNVERIFIABLE, confirm_pending, keep_at_hand, reconcile

log = logging.getLogger(__name__)

REASON_LIMIT = 2_000


class RollbackPlan(Fact):
    """Say what a rollback does: which bundle leaves, which one returns, and what returns after it."""

    model: str
    epoch: int
    """The epoch of the record that the rollback would write."""
    champion: Bundle
    """What serves now and would be denied."""
    target: Bundle
    previous: Bundle | None
    """What the next rollback would go back to."""
    sentence: str


def plan_rollback(
    deployments: Deployments,
    registry: Registry,
    model: str,
    target: int | None = None,
) -> RollbackPlan:
    """Choose and verify the target; change nothing but the local copy of its files.

    ``target`` is a version, or None for the last one that served and was confirmed before the current one. Raise
    NothingServes, ChampionLocked, UnfitTarget or NothingToRollBackTo; RegistryUnavailable where the files are not at
    hand and the registry is down.
    """
    return _plan(deployments, registry, deployments.history(model), model, target)


def rollback(
    deployments: Deployments,
    registry: Registry,
    model: str,
    target: int | None = None,
    *,
    by: By,
    only_since: int | None = None,
    gateways: Places | None = None,
    terms: ServingTerms | None = None,
    within_s: float = WAIT_S,
) -> Deployment:
    """Make an earlier champion serve again and return the record; a retried run returns the record that it wrote.

    The champion's digest is denied in the same transaction that writes the record. With the registry down, this works
    from the local copy; aliases and tags follow later. Raise what :func:`plan_rollback` raises, ReasonMissing, or
    EpochConflict where somebody else moved the champion in between; in all these cases nothing was changed. Raise
    GatewayLagging where a gateway does not serve the record within ``within_s`` seconds: the others do, and the record
    stands.

    :param only_since: take back no other champion than the one that began to serve at this epoch.
    :param gateways, terms: where it is served and the model's terms, by default those under which it was served last.
    """
    if not is_seen(by.reason) or len(by.reason) > REASON_LIMIT:
        raise ReasonMissing("rollback", by.reason, REASON_LIMIT)
    fleet = fleet_of(gateways, terms or deployments.last_terms(model)) if gateways else None
    # Aliases wait until the end: a registry that is down must not hold up the record. Nor must a gateway that is.
    if fleet is None:
        confirm_pending(deployments, registry, model)
    # One reading for both questions: were a second attempt of the same run faster in between, the epoch would tell.
    history = deployments.history(model)
    mine = _written_by(history, by.run)
    if mine is None and only_since is not None and history and history[-1].deployment.champion_since != only_since:
        raise _overtaken(model, only_since, history)
    record = mine or _written(
        deployments,
        registry,
        history,
        model,
        target,
        fleet=fleet,
        by=by,
    )
    is_in_force = mine is None or history[-1].deployment.champion_since == mine.champion_since
    if fleet is None:
        if mine is None:
            confirm_verified(deployments, record, by.actor)
    elif is_in_force:
        try:
            record = fleet.serve(deployments, record, by.actor, within_s)
        except GatewayLagging:
            reconcile(deployments, registry, model)
            raise
    _, lagging = reconcile(deployments, registry, model)
    if lagging is None:
        keep_at_hand(registry, record)
    return record


def _written(
    deployments: Deployments,
    registry: Registry,
    history: list[Served],
    model: str,
    target: int | None,
    *,
    fleet: Fleet | None,
    by: By,
) -> Deployment:
    """Write the record over the newest one, as long as that has the champion that is to be taken back."""
    while True:
        plan = _plan(deployments, registry, history, model, target)
        head = history[-1].deployment
        if fleet is not None and plan.target not in {head.previous, head.mirror}:
            _warm_up(fleet, plan.target)
        record = Deployment(
            model=model, epoch=plan.epoch, change=Change.ROLLBACK, champion=plan.target, previous=plan.previous
        )
        try:
            deployments.deploy(record, plan.epoch - 1, by, deny=plan.champion)
        except EpochConflict as lost:
            history = deployments.history(model)
            if history[-1].deployment.champion_since != head.champion_since:
                raise _overtaken(model, head.champion_since, history) from lost
            continue  # only a rehearsal began or ended
        log.info("%s, epoch %s", plan.sentence, record.epoch)
        return record


def _overtaken(model: str, expected: int, history: list[Served]) -> EpochConflict:
    """Tell whoever comes second who was first, and what serves now."""
    newest = reigns(history)[-1]
    return EpochConflict(model, expected, newest.epoch, newest.sentence)


def _warm_up(fleet: Fleet, target: Bundle) -> None:
    """Have a version that is not kept warm loaded before anything is written: one that cannot be is no way back."""
    try:
        fleet.prepare(target, WAIT_S)
    except TargetRefused:
        raise
    except UnderstudyError as absent:
        log.warning("%s: version %s could not be prepared everywhere: %s", target.model, target.version, absent)


def _plan(
    deployments: Deployments,
    registry: Registry,
    history: list[Served],
    model: str,
    target: int | None,
) -> RollbackPlan:
    if not history:
        raise NothingServes(model)
    champion = history[-1].deployment.champion
    locks = deployments.locked(model)
    if champion.version in locks:
        raise ChampionLocked(model, champion.version, locks[champion.version])
    denied = deployments.denied(model)
    fit = fit_instead(champion, history, denied)
    chosen = _choose(history, denied, fit, target)
    try:
        registry.keep(chosen)
    except (ArtefactMissing, ArtefactTampered, SignatureRefused, UnknownVersion) as gone:
        left = [bundle.version for bundle in fit if bundle != chosen and _is_intact(registry, bundle)]
        raise NothingToRollBackTo(model, str(gone).rstrip("."), left) from gone
    after = fit_instead(chosen, history, {**denied, champion.model_sha256: ""})
    return RollbackPlan(
        model=model,
        epoch=history[-1].deployment.epoch + 1,
        champion=champion,
        target=chosen,
        previous=after[0] if after else None,
        sentence=f"{model} goes back from version {champion.version} to version {chosen.version}; version "
        f"{champion.version} is denied and its data version {champion.data_version} marked as suspect",
    )


def _choose(history: list[Served], denied: dict[str, str], fit: list[Bundle], target: int | None) -> Bundle:
    champion = history[-1].deployment.champion
    versions = [bundle.version for bundle in fit]
    if target is None:
        if not fit:
            raise NothingToRollBackTo(
                champion.model,
                f"before version {champion.version}, no version served that was confirmed, is not denied and "
                "has other files",
            )
        return fit[0]
    if target in versions:
        return fit[versions.index(target)]
    of_target = [served for served in history if served.deployment.champion.version == target]
    digests = {served.deployment.champion.model_sha256 for served in of_target}
    if target == champion.version:
        problem = reigns(history)[-1].sentence
    elif not of_target:
        problem = "it never served"
    elif digests & set(denied):
        problem = f"it is denied ({denied[(digests & set(denied)).pop()]})"
    elif champion.model_sha256 in digests:
        problem = "its files are those of the version that serves now"
    else:
        problem = "it served but was never confirmed"
    raise UnfitTarget(champion.model, target, problem, versions)


def _is_intact(registry: Registry, bundle: Bundle) -> bool:
    try:
        registry.keep(bundle)
    except UNVERIFIABLE:
        return False
    return True


def _written_by(history: list[Served], run: str | None) -> Deployment | None:
    mine = (
        served.deployment
        for served in history
        if run is not None and served.run == run and served.deployment.change is Change.ROLLBACK
    )
    return next(mine, None)
