"""Move a model forward: a blessed challenger becomes champion, over exactly the champion that it was judged against."""

import logging

from understudy.contract.release import Blessing, Deployment
from understudy.contract.words import Change, EntryKind
from understudy.hooks.deployments import Deployments, fit_instead
from understudy.hooks.errors import EpochConflict, StaleBlessing, UnknownBlessing
from understudy.hooks.registry import Registry
from understudy.hooks.repair import confirm_verified, keep_at_hand, reconcile, repair

log = logging.getLogger(__name__)


def promote(
    deployments: Deployments,
    registry: Registry,
    blessing: Blessing,
    *,
    actor: str,
    reason: str,
    run: str | None = None,
) -> Deployment:
    """Make a blessed challenger the champion and return the record; do nothing more if it serves already.

    The order is: repair what an earlier touch left behind, refuse, verify the artefact, write the record (the
    intent), confirm it, let the aliases follow. A death in between is completed by the next touch. Raise
    UnknownBlessing, StaleBlessing, DigestDenied, ChampionLocked, ArtefactMissing or ArtefactTampered, having changed
    nothing; a registry that fails after the record was written is left to the next repair.
    """
    challenger = blessing.challenger
    repair(deployments, registry, challenger.model)
    serving = deployments.current(challenger.model)
    if serving is not None and serving.champion == challenger:
        return serving
    _refuse_unless_blessed(deployments, blessing)
    _refuse_if_stale(blessing, serving)
    deployments.refuse(challenger)
    registry.keep(challenger)
    earlier = fit_instead(challenger, deployments.history(challenger.model), deployments.denied(challenger.model))
    record = Deployment(
        model=challenger.model,
        epoch=blessing.champion_epoch + 1,
        change=Change.PROMOTION,
        champion=challenger,
        previous=earlier[0] if earlier else None,
        blessing=blessing,
    )
    try:
        deployments.deploy(record, blessing.champion_epoch, actor, reason, run)
    except EpochConflict as conflict:
        raise StaleBlessing(blessing, deployments.current(challenger.model)) from conflict
    log.info("%s: version %s is champion, epoch %s", record.model, challenger.version, record.epoch)
    confirm_verified(deployments, record, actor)
    reconcile(deployments, registry, record.model)
    keep_at_hand(registry, record)
    return record


def _refuse_unless_blessed(deployments: Deployments, blessing: Blessing) -> None:
    challenger = blessing.challenger
    recorded = deployments.ledger.entries(challenger.model, [EntryKind.BLESSED], newest_first=True)
    wanted = blessing.model_dump(mode="json")
    if not any(entry.facts == wanted for entry in recorded):
        raise UnknownBlessing(challenger.model, challenger.version, blessing.judgement_sha256)


def _refuse_if_stale(blessing: Blessing, serving: Deployment | None) -> None:
    epoch = serving.epoch if serving else 0
    champion = serving.champion.version if serving else None
    if (epoch, champion) != (blessing.champion_epoch, blessing.champion_version):
        raise StaleBlessing(blessing, serving)
