"""Take back what a guard or a look found out, where it was killed before it could do so itself."""

import logging
from datetime import datetime, timedelta

from understudy.contract.breach import taken_back
from understudy.contract.by import By
from understudy.contract.words import EntryKind, Outcome
from understudy.hooks.conditions.known_runs import FAILED
from understudy.hooks.conditions.open_breaches import OpenBreach, open_breaches
from understudy.hooks.connect import Hooks
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.hooks.rollback import REASON_LIMIT, rollback
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.handover import Concluded
from understudy.operators.live.guard import GUARD
from understudy.operators.look.take_back import MONITOR, lost_within_probation
from understudy.operators.other_runs import OtherRuns
from understudy.operators.run_end import write_end

log = logging.getLogger(__name__)
STILL_WANTED = timedelta(days=1)
"""How long after it was found out; whoever let a champion serve on for longer has decided so, and is not overruled."""


def finish_rollbacks(hooks: Hooks, runs: OtherRuns, now: datetime) -> None:
    """Do for dead runs what they were about to do; what cannot be done is left to be told."""
    for breach in open_breaches(hooks):
        try:
            if _is_orphaned(breach, runs, now):
                _conclude(hooks, breach, _take_back(hooks, breach))
        except Exception:
            # A champion that cannot be taken back must not keep people from being told, least of all of this one.
            log.exception("%s: version %s was not taken back", breach.record.model, breach.record.champion.version)


def _is_orphaned(breach: OpenBreach, runs: OtherRuns, now: datetime) -> bool:
    """Tell a run that died from one that goes on, that was told no, or that a person has called a success."""
    if now - breach.entry.at > STILL_WANTED or breach.state(now, runs) not in {FAILED, None}:
        return False
    run = breach.airflow
    # A guard's task has the guard's own name; a look that was refused has succeeded.
    return run is None or not runs.left(run.dag_id, run.run_id, GUARD, REFUSAL_KEY)


def _take_back(hooks: Hooks, breach: OpenBreach) -> int:
    """Roll back, and return which version serves again."""
    entry, model = breach.entry, breach.record.model
    places, terms = hooks.served_now(model)
    is_look = entry.kind is EntryKind.MONITORED
    try:
        record = rollback(
            hooks.deployments,
            hooks.registry,
            model,
            by=By(
                actor=MONITOR if is_look else GUARD,
                reason=lost_within_probation(entry.seq, entry.reason) if is_look else entry.reason[:REASON_LIMIT],
                run=entry.run,
            ),
            only_since=breach.record.champion_since,
            gateways=places,
            terms=terms,
        )
    except GatewayLagging as lagging:
        log.error("%s", lagging)
        return lagging.version  # the record stands
    log.error("version %s serves %s again: %s", record.champion.version, model, entry.reason)
    return record.champion.version


def _conclude(hooks: Hooks, breach: OpenBreach, back: int) -> None:
    """Write how the retraining ended after all: the end that it wrote itself, if any, says that the version serves."""
    entry, model, version = breach.entry, breach.record.model, breach.record.champion.version
    if entry.kind is not EntryKind.GUARDED or entry.run is None:
        return
    if hooks.ledger.entries(model, [EntryKind.TRIGGERED], after=entry.seq, limit=1):
        return  # whoever reads the newest end takes it for that of the newest retraining
    sentence = taken_back(version, back, entry.reason)
    ended = Concluded(outcome=Outcome.ROLLED_BACK, version=version, champion=back, sentence=sentence)
    write_end(hooks.ledger, model, entry.run, ended, GUARD)
