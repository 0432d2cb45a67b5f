"""Tell the ledger that a canary has ended at a gateway by itself, and end it everywhere."""

from understudy.contract.by import By
from understudy.contract.canary_lease import CanaryLapse
from understudy.contract.declared import sha256_of
from understudy.contract.release import Deployment
from understudy.contract.words import Change, EntryKind
from understudy.hooks.beside import write_beside
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict


def record_lapse(deployments: Deployments, lapse: CanaryLapse) -> Deployment | None:
    """Write down that a canary ended at a gateway, once; end it in the record where that still is the newest.

    A gateway that nobody could reach has seen what nobody watched, so the others' callers go back to the champion too.
    Return the record that ends it, None where a newer one has left it behind.
    """
    actor, facts = f"gateway {lapse.gateway}", lapse.model_dump(mode="json")
    deployments.ledger.append_once(
        f"canary_lapsed:{lapse.model}:{sha256_of(facts)}",
        lapse.model,
        EntryKind.CANARY_LAPSED,
        actor,
        lapse.sentence,
        facts=facts,
    )
    history = deployments.history(lapse.model)
    if not history or history[-1].deployment.epoch != lapse.epoch:
        return None
    newest = history[-1]
    try:
        return write_beside(
            deployments,
            newest.deployment,
            Change.CANARY_ENDED,
            by=By(actor=actor, reason=lapse.sentence, run=newest.run),
        )
    except EpochConflict:
        return None  # somebody wrote in between, and knew what serves
