"""Retrainings that were killed, ran out of time or were failed by a person, and so never said how they ended. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from understudy.contract.airflow_run import airflow_run_in
from understudy.contract.breach import breach_in, end_of_breach, has_moved, promotion_in, rollback_in
from understudy.contract.local_run import local_run_in
from understudy.contract.read_facts import whole_number
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import EntryKind, Outcome

_FLAG = "cut_off"


def is_cut_off(entry: LedgerEntry) -> bool:
    """Tell an end that a run did not write itself, which says when it was found and not when it was."""
    return entry.kind is EntryKind.CONCLUDED and entry.facts.get(_FLAG) is True


def end_of_cut_off(
    begun: LedgerEntry, in_run: Sequence[LedgerEntry], current: Deployment | None, moves: Sequence[LedgerEntry]
) -> Mapping[str, Any]:
    """Say how a dead run ended, as the facts of the entry that concludes it.

    :param begun: the entry with which it began.
    :param in_run: what it has recorded.
    :param current: what serves.
    :param moves: the model's deployment records since the run began.
    """
    breach, promoted = breach_in(in_run), promotion_in(in_run)
    version = promoted.champion.version if promoted else _judged_in(in_run)
    outcome, sentence = Outcome.BROKEN, _sentence(begun)
    if promoted is not None:
        sentence += f"; it had promoted version {promoted.champion.version}, look at what serves"
    if breach is not None and promoted is not None:
        moved = has_moved([entry for entry in moves if entry.seq > breach.seq])
        outcome, sentence = end_of_breach(promoted.champion.version, breach, rollback_in(in_run), moved=moved)
    named = airflow_run_in(begun.facts)
    return {
        "outcome": outcome.value,
        "version": version,
        "champion": current.champion.version if current else None,
        "sentence": sentence,
        _FLAG: True,
        **(named.model_dump() if named else {}),
    }


def _judged_in(in_run: Sequence[LedgerEntry]) -> int | None:
    judged = (whole_number(entry.facts.get("version")) for entry in in_run if entry.kind is EntryKind.JUDGED)
    return next((version for version in judged if version is not None), None)


def _sentence(begun: LedgerEntry) -> str:
    run, local = airflow_run_in(begun.facts), local_run_in(begun)
    name = f"the run {run.run_id} of {run.dag_id}" if run else "the run"
    if local is not None:
        return f"{name}, without a scheduler on {local.host}, was killed before it could say why"
    return f"{name} failed before it could say why"
