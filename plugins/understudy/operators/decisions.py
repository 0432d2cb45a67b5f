"""Who asked for a run, why, and what earlier runs decided: read from the context and the ledger."""

from typing import TYPE_CHECKING, Any

from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind, Trigger, Verdict
from understudy.hooks.account import own_account
from understudy.hooks.denials import denials_in
from understudy.operators.cause import cause_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from understudy.hooks.ledger.ledger import Ledger

LOCAL_RUN = "dag_test"  # what Airflow calls whoever runs a DAG without a scheduler
REFUSAL_KEY = "refusal"
"""The XCom of a task that was told no: the same input would be refused again."""
HELD_KEY = "held"
"""The XCom of a task that a hold kept from promoting: why."""
REJECTED_KEY = "rejected"
"""The XCom of a task whose question was answered with no: who, and why."""
HELD_BACK_KEY = "held_back"
"""The XCom of a task that found nothing to do for its run."""
PROBLEM_KEY = "problem"
"""The XCom of a task that ended with an error of ours, refusals included."""


def actor_of(context: "Context") -> str:
    """Name the person who triggered the run, else what did (``scheduled``, ``backfill`` …)."""
    run = context["dag_run"]
    name = getattr(run, "triggering_user_name", None)
    if name == LOCAL_RUN:
        return own_account()
    return name or str(getattr(run.run_type, "value", run.run_type))


def is_without_scheduler(context: "Context") -> bool:
    """Tell a run in somebody's own process, where no other process can answer it."""
    return getattr(context["dag_run"], "triggering_user_name", None) == LOCAL_RUN


def reason_of(context: "Context") -> str:
    """Return the reason from the form, else what the events said, else what kind of run it is."""
    return cause_of(context).sentence


def may_promote(context: "Context") -> bool:
    """Tell whether a blessed challenger of this run becomes champion: no dry run, and the past only if asked for."""
    if param(context, "dry_run"):
        return False
    return Trigger.BACKFILL not in cause_of(context).reasons or bool(param(context, "promote_past"))


def param(context: "Context", name: str) -> Any:
    """Read a value from the run's form; None where the DAG has no such field."""
    return dict(context["params"]).get(name)


def accepted_windows(ledger: "Ledger", model: str, limit: int | None = None) -> list[LedgerEntry]:
    """List the last windows that the sanity check let pass, newest first; all without ``limit``."""
    judged = ledger.entries(model=model, kinds=(EntryKind.DATA_JUDGED,), newest_first=True)
    return [entry for entry in judged if entry.facts.get("verdict") == Verdict.PASSED.value][:limit]


def last_sound_window(ledger: "Ledger", model: str) -> str | None:
    """Return the data version of the last accepted window from which no version came that was rolled back since."""
    suspect = {denial.data_version for denial in denials_in(ledger.entries(model, [EntryKind.DENIED])).values()}
    accepted = (str(entry.facts["data_version"]) for entry in accepted_windows(ledger, model))
    return next((version for version in accepted if version not in suspect), None)
