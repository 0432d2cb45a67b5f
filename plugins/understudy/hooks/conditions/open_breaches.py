"""Champions that had to be taken back and still serve, because what found that out was killed or refused."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from understudy.contract.airflow_run import AirflowRun, airflow_run_in
from understudy.contract.breach import BREACHES, has_moved, is_breach, not_taken_back
from understudy.contract.declared import DRILL_MODEL, Fact
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import AlertKind, EntryKind
from understudy.hooks.alerting.condition import Condition
from understudy.hooks.conditions.known_runs import KnownRuns
from understudy.hooks.connect import Hooks

UNDER_WAY = {"running", "queued"}
HEARD_WITHIN = timedelta(minutes=5)
"""How long a run that Airflow does not know, such as one without a scheduler, is left to act by itself."""


class OpenBreach(Fact):
    """Say what was found out about a champion that serves."""

    entry: LedgerEntry
    record: Deployment
    airflow: AirflowRun | None
    """The run that found it out; None where it left no name."""

    def state(self, now: datetime, runs: KnownRuns) -> str | None:
        """Give the state of the run that found it out; None where it is gone."""
        known = runs.state(self.airflow.dag_id, self.airflow.run_id) if self.airflow else None
        return "running" if known is None and now - self.entry.at < HEARD_WITHIN else known


def open_breaches(hooks: Hooks) -> Iterator[OpenBreach]:
    """List them."""
    found = {entry.model: entry for entry in hooks.ledger.newest(*BREACHES) if is_breach(entry)}
    for record in hooks.deployments.all_current() if found else ():
        breach = found.get(record.model)
        if breach is None or record.model == DRILL_MODEL:
            continue
        if has_moved(hooks.ledger.entries(record.model, [EntryKind.DEPLOYED], after=breach.seq)):
            continue
        began = hooks.ledger.entries(record.model, [EntryKind.TRIGGERED], run=breach.run) if breach.run else []
        named = (airflow_run_in(entry.facts) for entry in (breach, *began))
        yield OpenBreach(entry=breach, record=record, airflow=next((run for run in named if run is not None), None))


def left_serving(hooks: Hooks, now: datetime, runs: KnownRuns) -> Iterable[Condition]:
    """Find bad champions that nobody is about to take back."""
    for breach in open_breaches(hooks):
        if breach.state(now, runs) not in UNDER_WAY:
            model, entry = breach.record.model, breach.entry
            yield Condition(
                # As of a run that lives to say it itself, so that neither is told after the other.
                name=f"{AlertKind.ROLLBACK_FAILED}/{model}/{entry.run}",
                kind=AlertKind.ROLLBACK_FAILED,
                model=model,
                sentence=f"{model}: {not_taken_back(breach.record.champion.version, entry.reason)}",
                seq=entry.seq,
                is_final=True,
            )
