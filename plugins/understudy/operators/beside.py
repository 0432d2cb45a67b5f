"""End what a run tries beside the champion, whichever it is."""

from understudy.hooks.canarying import end_canary
from understudy.hooks.connect import Hooks
from understudy.hooks.mirroring import end_mirror


def end_of_run(hooks: Hooks, model: str, run: str | None, actor: str, reason: str) -> None:
    """End the mirror or the canary that a run began; without a run, whoever began it."""
    current = hooks.deployments.current(model)
    if current is None or (current.mirror is None and current.canary is None):
        return
    places, terms = hooks.served_now(model)
    end = end_mirror if current.canary is None else end_canary
    end(
        hooks.deployments,
        hooks.registry,
        places,
        terms,
        model,
        actor=actor,
        reason=reason,
        run=run,
    )
