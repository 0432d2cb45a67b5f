"""Ask Airflow which requests of people failed: whoever counts on a hold that holds nothing has to know."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from understudy.contract.declared import MODEL_NAME
from understudy.contract.words import Action, AlertKind
from understudy.hooks.alerting.condition import Condition
from understudy.hooks.alerting.pages import run_page
from understudy.operators.other_runs import OtherRuns
from understudy.operators.why_failed import refusal_of, why_failed
from understudy.workspace import run_key

REPLAY = "replay"
ASKED = (*(action.value for action in Action), REPLAY)
"""The DAGs that do what a form asks for and that record nothing where they fail; a rollback is told as what it is."""


def broken_requests(runs: OtherRuns, now: datetime) -> Iterator[Condition]:
    """List the requests that Airflow has failed; a dry run keeps nothing from anybody."""
    for dag_id in ASKED:
        for run, tasks in runs.failed(dag_id, now):
            asked = run.conf or {}
            if asked.get("dry_run"):
                continue
            model, refusal = _model_in(asked), refusal_of(runs, dag_id, run.run_id, tasks)
            kind, what = (AlertKind.REFUSED, "was refused") if refusal else (AlertKind.RUN_BROKEN, "failed")
            who, action = run.triggering_user_name or "a program", dag_id.replace("_", " ")
            why = refusal or why_failed(runs, dag_id, run.run_id, tasks)
            yield Condition(
                name=f"{kind}/{dag_id}/{run_key(run.run_id)}",
                kind=kind,
                model=model,
                sentence=f"{model or 'no known model'}: the {action} that {who} asked for {what}: {why}",
                page=run_page(dag_id, run.run_id),
                is_final=True,
            )


def _model_in(asked: Mapping[str, Any]) -> str:
    """Read which model a form was about, as far as it can be one: programs send anything."""
    model = str(asked.get("model", ""))
    return model if re.fullmatch(MODEL_NAME, model) else ""
