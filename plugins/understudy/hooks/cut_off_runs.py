"""Conclude retrainings that never said how they ended, so that whoever reads the ledger knows that none runs."""

from collections.abc import Iterable

from understudy.contract.airflow_run import airflow_run_in
from understudy.contract.cut_off import end_of_cut_off
from understudy.contract.local_run import local_run_in
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks.conditions.known_runs import FAILED, KnownRuns
from understudy.hooks.connect import Hooks
from understudy.hooks.ledger.schema import LEDGER
from understudy.hooks.local_runs import has_died

SWEEP = "alerts"
"""In whose name it is recorded."""


def conclude_cut_off(hooks: Hooks, runs: KnownRuns) -> None:
    """Record how dead retrainings ended, each once; a run that is cleared afterwards still says so itself."""
    for begun in unconcluded(hooks):
        if is_dead(hooks, begun, runs):
            _conclude(hooks, begun)


def unconcluded(hooks: Hooks) -> Iterable[LedgerEntry]:
    """List the beginnings of what would be read as running: each model's newest, where it has no end."""
    newest = hooks.ledger.newest(EntryKind.TRIGGERED, EntryKind.CONCLUDED)
    ended = {(entry.model, entry.run) for entry in newest if entry.kind is EntryKind.CONCLUDED}
    for begun in newest:
        if begun.kind is not EntryKind.TRIGGERED or (begun.model, begun.run) in ended:
            continue
        # Another run's end may be newer, such as that of one that had nothing to do.
        if not hooks.ledger.entries(begun.model, [EntryKind.CONCLUDED], run=begun.run, limit=1):
            yield begun


def is_dead(hooks: Hooks, begun: LedgerEntry, runs: KnownRuns) -> bool:
    """Tell a run that nothing will ever be heard of from one that goes on, or of which nobody here can tell."""
    run, local = airflow_run_in(begun.facts), local_run_in(begun)
    if run is None:
        return False
    if local is not None:
        return has_died(hooks.settings.home, run.dag_id, local.place)
    return runs.state(run.dag_id, run.run_id) == FAILED


def _conclude(hooks: Hooks, begun: LedgerEntry) -> None:
    in_run = hooks.ledger.entries(begun.model, run=begun.run)
    moves = hooks.ledger.entries(begun.model, [EntryKind.DEPLOYED], after=begun.seq)
    facts = end_of_cut_off(begun, in_run, hooks.deployments.current(begun.model), moves)
    with hooks.ledger.writing() as pen:
        of_model, of_run = LEDGER.c.model == begun.model, LEDGER.c.run == begun.run
        is_begin, is_end = (LEDGER.c.kind == kind.value for kind in (EntryKind.TRIGGERED, EntryKind.CONCLUDED))
        # What has said so meanwhile is believed; behind the next one's beginning, this end would be read as that one's.
        if pen.entries(of_model, of_run, is_end, limit=1):
            return
        if pen.entries(of_model, is_begin, newest_first=True, limit=1)[0].seq != begun.seq:
            return
        pen.append(
            begun.model,
            EntryKind.CONCLUDED,
            SWEEP,
            str(facts["sentence"]),
            run=begun.run,
            facts=facts,
            once_key=f"{begun.model}/{begun.run}/concluded/cut_off",
        )
