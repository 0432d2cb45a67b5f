"""Read what a model's runs ask of people, with what the ledger knows of those runs."""

from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.release import Bundle
from understudy.hooks.connect import Hooks
from understudy.hooks.errors import Refused
from understudy.overview.airflow_state import Airflow
from understudy.ui.access import Caller
from understudy.ui.questions import Known, Request, requests
from understudy.workspace import run_key


def read_requests(
    hooks: Hooks, model: str, airflow: Airflow, caller: Caller, spec: ModelSpec | None
) -> tuple[Request, ...]:
    """List what is asked, and whether this person may answer; nothing is read where nothing is asked."""
    runs = {run_key(asked.run_id) for asked in airflow.questions if asked.dag_id == f"{RETRAIN_PREFIX}{model}"}
    if not runs:
        return ()

    def refusal(challenger: Bundle) -> str:
        try:
            hooks.deployments.refuse(challenger)
        except Refused as refused:
            return str(refused)
        return ""

    known = Known(
        entries=[entry for run in sorted(runs) for entry in hooks.ledger.entries(model, run=run)],
        record=hooks.deployments.current(model),
        persons=spec.promotion.persons if spec else 1,
    )
    return requests(model, airflow, caller.user_id, caller.may_answer, known, refusal=refusal)
