"""``understudy approvals``, ``approve`` and ``reject``: answer on Airflow what a retraining asks before a promotion."""

from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.airflow_login import airflow
from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment
from understudy.cli.errors import BadArgument
from understudy.cli.reason import Reason, checked_reason
from understudy.contract.approval import APPROVE, REASON, REJECT, TASKS
from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.moment import moment

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.embedded.airflow_api import Asked

Model = Annotated[str, typer.Argument(help="The model.")]
Run = Annotated[str | None, typer.Option("--run", help="The run's id, where several of the model wait.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be answered.")]


class NothingAsked(UnderstudyError):
    """No retraining of the model waits for an answer."""

    def __init__(self, model: str, run: str | None) -> None:
        what = f"The run {run} of {model}" if run else f"No retraining of {model}"
        waits = "does not wait" if run else "waits"
        super().__init__(f"{what} {waits} for an approval. `understudy approvals` lists what does.")


class AnsweredMeanwhile(UnderstudyError):
    """Somebody else was faster."""

    def __init__(self, model: str) -> None:
        super().__init__(f"Somebody has answered for {model} meanwhile. `understudy ledger {model}` says who and what.")


class Given(Fact):
    """What was answered, or would be."""

    model: str
    run: str
    question: str
    answer: str
    reason: str
    is_dry_run: bool


def approvals(
    model: Annotated[str | None, typer.Argument(help="One model; all of them when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the retrainings that wait for an approval."""
    asked = _asked(model)
    answer(as_json, asked, lambda console: _list(console, asked))


def approve(model: Model, reason: Reason, run: Run = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Let a challenger that waits for it become champion."""
    _answer(APPROVE, model, reason, run, dry_run=dry_run, as_json=as_json)


def reject(model: Model, reason: Reason, run: Run = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Keep a challenger that waits for an approval from becoming champion."""
    _answer(REJECT, model, reason, run, dry_run=dry_run, as_json=as_json)


def _answer(option: str, model: str, reason: str, run: str | None, *, dry_run: bool, as_json: bool) -> None:
    from understudy.embedded.airflow_client import AirflowRefused

    given = checked_reason(reason)
    waiting = [one for one in _asked(model) if run in {None, one.run}]
    if not waiting:
        raise NothingAsked(model, run)
    if len(waiting) > 1:
        raise BadArgument("--run", "is missing", f"Several wait: {', '.join(one.run for one in waiting)}.")
    (asked,) = waiting
    if not dry_run:
        try:
            airflow(deployment()).answer(asked, option, {REASON: given})
        except AirflowRefused as refused:
            if refused.status == 409:
                raise AnsweredMeanwhile(model) from refused
            raise
    done = Given(model=model, run=asked.run, question=asked.subject, answer=option, reason=given, is_dry_run=dry_run)
    answer(as_json, done, lambda console: _page(console, done))


def _asked(model: str | None) -> "list[Asked]":
    asked = airflow(deployment()).asked(f"{RETRAIN_PREFIX}{model}" if model else None, RETRAIN_PREFIX)
    return [one for one in asked if one.task in TASKS]


def _list(console: "Console", asked: "list[Asked]") -> None:
    if not asked:
        console.print("No retraining waits for an approval.")
    for one in asked:
        model = one.dag_id.removeprefix(RETRAIN_PREFIX)
        whom = ", ".join(one.assigned) or "whoever may answer on its DAG"
        second = " (a second person)" if one.task != TASKS[0] else ""
        console.print(f"{model}: {one.subject}{second}")
        console.print(f"  asked     {moment(one.at)}, in the run {one.run}")
        console.print(f"  answers   {whom}")
        console.print(f"  then      understudy approve {model} --reason …, or reject")


def _page(console: "Console", done: Given) -> None:
    if done.is_dry_run:
        console.print(f"Dry run: {done.question} would be answered with {done.answer}: {done.reason}")
        return
    console.print(f"{done.question} {done.answer}: {done.reason}")
    console.print(f"The run {done.run} goes on; its outcome: understudy status {done.model}")
