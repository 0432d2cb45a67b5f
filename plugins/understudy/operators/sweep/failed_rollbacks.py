"""Ask Airflow which rollbacks failed: a task that was killed, or that a person failed, tells nobody itself."""

from collections.abc import Iterator
from datetime import datetime

from understudy.contract.alerts.failed_rollback import KILLED, FailedRollback
from understudy.contract.read_facts import read_as
from understudy.hooks.alerting.direct_alerts import ToldDirectly
from understudy.operators.alerting import TOLD_KEY
from understudy.operators.decisions import PROBLEM_KEY, REFUSAL_KEY
from understudy.operators.other_runs import OtherRuns
from understudy.workspace import run_key

ROLLBACK = "rollback"
"""The DAG, and its task, by which somebody takes a model back."""


def failed_rollbacks(runs: OtherRuns, now: datetime) -> Iterator[FailedRollback]:
    """List the rollbacks that Airflow has failed, whatever became of their tasks."""
    for run, _ in runs.failed(ROLLBACK, now):
        asked = run.conf or {}
        if asked.get("dry_run"):
            continue
        refusal, problem, told = (
            runs.left(ROLLBACK, run.run_id, ROLLBACK, key) for key in (REFUSAL_KEY, PROBLEM_KEY, TOLD_KEY)
        )
        failed = FailedRollback(
            model=str(asked.get("model", "")),
            run=run_key(run.run_id),
            at=run.end_date or now,
            why=str(refusal or problem or KILLED),
            is_refused=bool(refusal and run.triggering_user_name),
        )
        already = read_as(ToldDirectly, told) or ToldDirectly()
        yield failed.model_copy(update={"told_to": already.to.get(failed.key, ())})
