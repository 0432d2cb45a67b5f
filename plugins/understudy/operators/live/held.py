"""End what a run tries for a challenger that a hold keeps from callers, and say so."""

from typing import TYPE_CHECKING

from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.hooks.errors import ModelHeld
from understudy.operators.decisions import HELD_KEY, actor_of
from understudy.operators.errors import PromotionHeld
from understudy.operators.live.beside import end_of_run
from understudy.operators.run_context import run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context


def held_back(context: "Context", version: int, held: ModelHeld) -> PromotionHeld:
    """Record that a hold stopped a challenger, and give the error that skips what follows."""
    hooks, run, why = connect(), run_folder(context, held.model).run, str(held)
    end_of_run(hooks, held.model, run, actor_of(context), f"{held.model} is held")
    hooks.ledger.append_once(
        f"{held.model}/{run}/held/{version}",
        held.model,
        EntryKind.REFUSED,
        actor_of(context),
        why,
        run,
        {"version": version, "held_by": held.actor},
    )
    context["ti"].xcom_push(key=HELD_KEY, value=why)
    return PromotionHeld(version, why)
