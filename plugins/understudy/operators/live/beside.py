"""End what a run tries beside the champion, whichever it is."""

from understudy.contract.by import By
from understudy.contract.words import Change
from understudy.hooks.beside import end_beside
from understudy.hooks.connect import Hooks


def end_of_run(hooks: Hooks, model: str, run: str | None, actor: str, reason: str) -> None:
    """End the mirror or the canary that a run began; without a run, whoever began it."""
    current = hooks.deployments.current(model)
    if current is None or (current.mirror is None and current.canary is None):
        return
    places, terms = hooks.served_now(model)
    end_beside(
        hooks.deployments,
        hooks.registry,
        places,
        terms,
        model,
        Change.MIRROR_ENDED if current.canary is None else Change.CANARY_ENDED,
        by=By(actor=actor, reason=reason, run=run),
    )
