"""Whether housekeeping goes on: without it, what runs leave behind stays, and fills the disk unseen."""

from collections.abc import Iterable
from datetime import datetime

from understudy.contract.words import AlertKind
from understudy.hooks.alerting.condition import Condition
from understudy.hooks.alerting.pages import run_page
from understudy.hooks.conditions.known_runs import DONE, FAILED, KnownRuns
from understudy.operators.tidy.mirrors import HOUSEKEEPING


def broken_housekeeping(now: datetime, runs: KnownRuns) -> Iterable[Condition]:
    """Tell of the newest run that failed, until one goes well after it; one that only runs has repaired nothing yet."""
    failed, done = (runs.newest(HOUSEKEEPING, now, state) for state in (FAILED, DONE))
    if failed is None or failed.ended_at is None:
        return
    if done is not None and done.ended_at is not None and done.ended_at >= failed.ended_at:
        return
    yield Condition(
        name=f"{AlertKind.RUN_BROKEN}//{HOUSEKEEPING}",
        kind=AlertKind.RUN_BROKEN,
        model="",
        sentence=f"{HOUSEKEEPING} failed in its run {failed.run_id}: stages, mirrors and run folders that nobody waits "
        "for stay until one succeeds; its log says why",
        page=run_page(HOUSEKEEPING, failed.run_id),
    )
