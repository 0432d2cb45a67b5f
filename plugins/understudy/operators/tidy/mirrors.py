"""End mirrors and canaries that nobody watches any more: their run is over, was deleted, or is late."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import ValidationError

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.errors import UnderstudyError
from understudy.contract.local_run import local_run_in
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import Hooks
from understudy.hooks.deployments import Served
from understudy.hooks.local_runs import has_died
from understudy.operators.live.beside import end_of_run
from understudy.workspace import RunFolder

HOUSEKEEPING = "housekeeping"
"""The DAG, and in whose name it acts."""
LATE = timedelta(hours=1)
"""How much longer than declared a mirror or a canary may last; its run ends it sooner."""
LONGEST = timedelta(days=30)
"""How long one may last whose declaration is gone."""
Running = Callable[[str, str], bool]
"""Tell by DAG and run id whether anything of a run is still to happen; must say yes when it cannot tell."""


def end_orphaned_mirrors(hooks: Hooks, now: datetime, is_running: Running) -> tuple[list[str], list[str]]:
    """End what is tried without a watcher; return the models, and what could not be ended, one sentence each."""
    ended, left = [], []
    for record in hooks.deployments.all_current():
        # What a killed drill left is cleared away: to end it at the gateways would bring it back to them.
        if record.model == DRILL_MODEL or (record.mirror is None and record.canary is None):
            continue
        try:
            newest = hooks.deployments.history(record.model)[-1]
            if _is_watched(hooks, newest, now, is_running):
                continue
            end(hooks, newest)
            ended.append(record.model)
        except UnderstudyError as problem:
            what = "mirror" if record.canary is None else "canary"
            left.append(f"the {what} of {record.model} goes on: {problem}")
    return ended, left


def end(hooks: Hooks, newest: Served) -> None:
    """End what a newest record tries."""
    end_of_run(hooks, newest.deployment.model, newest.run, HOUSEKEEPING, "nobody watches it any more")


def _is_watched(hooks: Hooks, newest: Served, now: datetime, is_running: Running) -> bool:
    model, run = newest.deployment.model, newest.run
    if now > newest.at + _longest(hooks, newest) + LATE:
        return False
    triggered = hooks.ledger.entries(model, [EntryKind.TRIGGERED], run=run) if run else []
    if not triggered:
        return True  # what no run of ours began belongs to a person, who ends it
    dag_id, local = str(triggered[0].facts["dag_id"]), local_run_in(triggered[0])
    if local is not None:
        return not has_died(hooks.settings.home, dag_id, local.place)  # the scheduler never heard of it
    return is_running(dag_id, str(triggered[0].facts["run_id"]))


def _longest(hooks: Hooks, newest: Served) -> timedelta:
    record = newest.deployment
    folder = RunFolder(workspace=hooks.settings.workspace_dir, model=record.model, run=newest.run or "")
    try:
        spec = ModelSpec.model_validate_json((folder.path / "spec.json").read_text(encoding="utf-8"))
    except (OSError, ValidationError):  # the run's folder was deleted, or another release of ours wrote it
        return LONGEST
    if record.canary is not None:
        return spec.canary.longest if spec.canary else LONGEST
    if record.change is Change.MIRROR_STARTED and spec.shadow:
        return spec.shadow.deadline
    return spec.guard.probation if spec.guard else LONGEST
