"""Tell the ledger what was taken back at a gateway by break-glass, so that everybody else follows."""

import logging

from understudy.contract.break_glass import BrokenGlass
from understudy.contract.by import By
from understudy.contract.declared import sha256_of
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change, EntryKind
from understudy.hooks.deployments import Deployments, Served
from understudy.hooks.errors import EpochConflict, NothingToRollBackTo
from understudy.hooks.places.fleet import fleet_of
from understudy.hooks.places.gateways import Gateways
from understudy.hooks.registry.registry import Registry
from understudy.hooks.reigns import fit_instead
from understudy.hooks.repair import confirm_pending, keep_at_hand, reconcile

log = logging.getLogger(__name__)


def record_break_glass(deployments: Deployments, glass: BrokenGlass) -> Deployment | None:
    """Write a break-glass down, and the rollback that it was; return what serves by the ledger then.

    Who did it, where and why is an entry of its own for each gateway, written once and first. The rollback is written
    over whatever record has the version as its champion, a locked one and a later reign included: a person has seen it
    hurt, and nobody who put it there knew. Where another version is champion by now, only the digest is denied, and
    that champion stays. Raise NothingToRollBackTo where no version is left that could be champion.
    """
    model, by = glass.model, By(actor=glass.actor, reason=glass.sentence)
    facts = glass.model_dump(mode="json")
    deployments.ledger.append_once(
        f"broke_glass:{model}:{sha256_of(facts)}", model, EntryKind.BROKE_GLASS, by.actor, by.reason, facts=facts
    )
    while True:
        history = deployments.history(model)
        head = history[-1].deployment if history else None
        if head is None or head.champion.model_sha256 != glass.taken_back.model_sha256:
            deployments.deny(model, glass.taken_back.model_sha256, by, bundle=glass.taken_back)
            return head
        record = _rollback(history, deployments.denied(model), glass)
        try:
            deployments.deploy(record, head.epoch, by, deny=glass.taken_back, past_lock=True)
        except EpochConflict:
            continue  # somebody wrote in between: another gateway's follower, a rehearsal, a promotion
        log.warning("%s: version %s was taken back: %s", model, glass.taken_back.version, by.reason)
        return record


def spread(
    deployments: Deployments,
    registry: Registry,
    record: Deployment,
    gateways: Gateways | None,
    terms: ServingTerms | None,
) -> None:
    """Bring the record of what one gateway did alone to all gateways and to the registry.

    Whatever lags is left to the next touch.

    :param gateways: all replicas; where they are not known here, their followers find it, and the next touch confirms.
    :param terms: the model's; where they are not known, those under which it was served last.
    """
    fleet = fleet_of(gateways, terms or deployments.last_terms(record.model))
    if fleet is not None:
        confirm_pending(deployments, registry, record.model, fleet)
    _, lagging = reconcile(deployments, registry, record.model)
    if lagging is None:
        keep_at_hand(registry, record)


def _rollback(history: list[Served], denied: dict[str, str], glass: BrokenGlass) -> Deployment:
    head = history[-1].deployment
    denied = {**denied, glass.taken_back.model_sha256: glass.sentence}
    target = _target(history, denied, glass)
    after = fit_instead(target, history, denied)
    return Deployment(
        model=glass.model,
        epoch=head.epoch + 1,
        change=Change.ROLLBACK,
        champion=target,
        previous=after[0] if after else None,
    )


def _target(history: list[Served], denied: dict[str, str], glass: BrokenGlass) -> Bundle:
    """Name what the gateway answers with; where that was denied meanwhile, the last one that is fit."""
    if glass.target.model_sha256 not in denied:
        return glass.target
    fit = fit_instead(glass.taken_back, history, denied)
    if not fit:
        raise NothingToRollBackTo(
            glass.model,
            f"version {glass.taken_back.version} was taken back at gateway {glass.gateway}, and version "
            f"{glass.target.version}, which answers there, was denied meanwhile",
        )
    return fit[0]
