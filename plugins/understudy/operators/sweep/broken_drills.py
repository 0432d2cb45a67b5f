"""Ask Airflow which rollback drills broke: one that was killed before it measured anything left no word of it."""

from collections.abc import Iterator
from datetime import datetime

from understudy.contract.cards.title import verdict_of
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.drill import DRILL_DAG
from understudy.contract.words import AlertKind, EntryKind, Verdict
from understudy.hooks.alerting.condition import Condition
from understudy.hooks.alerting.pages import run_page
from understudy.hooks.conditions.known_runs import FAILED
from understudy.hooks.ledger.ledger import Ledger
from understudy.operators.decisions import HELD_BACK_KEY
from understudy.operators.other_runs import OtherRuns
from understudy.operators.why_failed import why_failed
from understudy.workspace import run_key


def broken_drills(ledger: Ledger, runs: OtherRuns, now: datetime) -> Iterator[Condition]:
    """List the drills that ended early; what one has measured and not passed is told by its ledger entry.

    Airflow does not fail a drill that a person ended before its task began: it skips that task, clears the sandbox and
    calls the run a success. One that had no gateway to drill at is skipped too, and has said so.
    """
    for run, tasks in runs.undone(DRILL_DAG, now):
        key = run_key(run.run_id)
        measured = [verdict_of(entry) for entry in ledger.entries(DRILL_MODEL, [EntryKind.DRILLED], run=key)]
        if any(verdict is not Verdict.PASSED for verdict in measured):
            continue
        if run.state != FAILED and (measured or _has_nothing_to_drill(runs, run.run_id)):
            continue
        what = (
            "passed, and broke afterwards"
            if measured
            else "ended before it had measured anything, so it does not say whether a rollback would work"
        )
        yield Condition(
            name=f"{AlertKind.RUN_BROKEN}/{DRILL_MODEL}/{key}",
            kind=AlertKind.RUN_BROKEN,
            model=DRILL_MODEL,
            sentence=f"the rollback drill {run.run_id} {what}: {why_failed(runs, DRILL_DAG, run.run_id, tasks)}",
            page=run_page(DRILL_DAG, run.run_id),
            is_final=True,
        )


def _has_nothing_to_drill(runs: OtherRuns, run_id: str) -> bool:
    return any(runs.left(DRILL_DAG, run_id, task, HELD_BACK_KEY) for task in ("models", "drill"))
