"""Write down that a challenger may not go on, and say so to the task that concludes the run."""

from typing import TYPE_CHECKING

from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.operators.decisions import REFUSAL_KEY, actor_of
from understudy.operators.errors import PromotionRefused
from understudy.operators.run_context import run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context


def recorded_refusal(context: "Context", model: str, what: str, version: int, why: str) -> PromotionRefused:
    """Record once for each run that a version was refused, and give the error that fails the task.

    :param what: what it was refused, for example ``promotion``; part of the ledger's key.
    """
    run = run_folder(context, model).run
    connect().ledger.append_once(
        f"{model}/{run}/{what}_refused/{version}",
        model,
        EntryKind.REFUSED,
        actor_of(context),
        why,
        run,
        {"version": version},
    )
    context["ti"].xcom_push(key=REFUSAL_KEY, value=why)
    return PromotionRefused(model, version, why)
