"""Move a model forward: a blessed challenger becomes champion, over exactly the champion that it was judged against."""

import logging

from understudy.contract.by import By
from understudy.contract.release import Blessing, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change, EntryKind
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict, StaleBlessing, UnknownBlessing
from understudy.hooks.places.fleet import confirm_verified, fleet_of
from understudy.hooks.places.places import WAIT_S, Places
from understudy.hooks.registry.registry import Registry
from understudy.hooks.reigns import fit_instead
from understudy.hooks.repair import keep_at_hand, reconcile, repair

log = logging.getLogger(__name__)


def promote(
    deployments: Deployments,
    registry: Registry,
    blessing: Blessing,
    *,
    by: By,
    gateways: Places | None = None,
    terms: ServingTerms | None = None,
    mirror: float | None = None,
    within_s: float = WAIT_S,
) -> Deployment:
    """Make a blessed challenger the champion and return the record; do nothing more if it serves already.

    The order is: repair what an earlier touch left behind, refuse, verify the artefact, have every gateway prepare it,
    write the record (the intent), have every gateway serve it, confirm it, probe it, let the aliases follow. A death in
    between is completed by the next touch. Raise UnknownBlessing, StaleBlessing, DigestDenied, ChampionLocked,
    ArtefactMissing, ArtefactTampered, or what :meth:`Places.prepare` raises, having changed nothing; a registry that
    fails after the record was written is left to the next repair. Raise GatewayLagging where a gateway does not serve
    the record within ``within_s`` seconds: the record stands, and the next call with the same blessing completes it.

    :param gateways, terms: where it is served and the model's terms; without both, files that can be served are enough.
    :param mirror: the share of requests that the previous champion goes on answering, unseen; none when absent.
    """
    challenger, fleet = blessing.challenger, fleet_of(gateways, terms)
    serving = deployments.current(challenger.model)
    is_written = serving is not None and serving.champion == challenger
    if not (is_written and fleet):
        repair(deployments, registry, challenger.model, gateways, terms)
        serving = deployments.current(challenger.model)
    if serving is not None and serving.champion == challenger:
        if fleet is None:
            return serving
        record = serving
    else:
        _refuse_unless_blessed(deployments, blessing)
        _refuse_if_stale(blessing, serving)
        deployments.refuse(challenger)
        registry.keep(challenger)
        if fleet is not None:
            fleet.prepare(challenger)
        record = _written(deployments, blessing, mirror, by=by)
    if fleet is None:
        confirm_verified(deployments, record, by.actor)
    else:
        record = fleet.serve(deployments, record, by.actor, within_s)
    reconcile(deployments, registry, record.model)
    keep_at_hand(registry, record)
    return record


def _written(deployments: Deployments, blessing: Blessing, mirror: float | None, *, by: By) -> Deployment:
    """Write the record over the newest one, as long as that has the champion of the blessing."""
    challenger = blessing.challenger
    while True:
        serving = deployments.current(challenger.model)
        _refuse_if_stale(blessing, serving)
        epoch = serving.epoch if serving else 0
        earlier = fit_instead(challenger, deployments.history(challenger.model), deployments.denied(challenger.model))
        previous = earlier[0] if earlier else None
        record = Deployment(
            model=challenger.model,
            epoch=epoch + 1,
            change=Change.PROMOTION,
            champion=challenger,
            previous=previous,
            blessing=blessing,
            mirror=previous if mirror else None,
            mirror_share=mirror if mirror and previous else 0.0,
        )
        try:
            deployments.deploy(record, epoch, by)
        except EpochConflict:
            continue  # with another champion the blessing is stale, else only a rehearsal began or ended
        log.info("%s: version %s is champion, epoch %s", record.model, challenger.version, record.epoch)
        return record


def _refuse_unless_blessed(deployments: Deployments, blessing: Blessing) -> None:
    challenger = blessing.challenger
    recorded = deployments.ledger.entries(challenger.model, [EntryKind.BLESSED], newest_first=True)
    wanted = blessing.model_dump(mode="json")
    if not any(entry.facts == wanted for entry in recorded):
        raise UnknownBlessing(challenger.model, challenger.version, blessing.judgement_sha256)


def _refuse_if_stale(blessing: Blessing, serving: Deployment | None) -> None:
    if blessing.is_stale(serving):
        raise StaleBlessing(blessing, serving)
