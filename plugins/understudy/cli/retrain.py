"""``understudy retrain``: one run of a model's Dag, on the running Airflow or in this process."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.airflow_login import airflow
from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment, hooks
from understudy.cli.ledger import parse_moment
from understudy.cli.unpause import Unpause, refuse_unpausing_locally
from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.declared import Fact
from understudy.contract.load import load_model
from understudy.contract.words import Outcome
from understudy.hooks.account import own_account
from understudy.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console


EXIT_CODES = {
    Outcome.PROMOTED: 0,
    Outcome.DRY_RUN: 0,
    Outcome.UNCHANGED: 0,
    Outcome.HELD_BACK: 0,
    Outcome.HELD: 3,
    Outcome.REJECTED: 3,
    Outcome.BROKEN: 1,
    Outcome.DECLINED: 3,
    Outcome.DATA_REFUSED: 4,
    Outcome.PROMOTION_REFUSED: 3,
    Outcome.ROLLED_BACK: 5,
}
STYLES = {Outcome.PROMOTED: "green", Outcome.DRY_RUN: "green", Outcome.UNCHANGED: "green", Outcome.BROKEN: "red"}
ASKING = 6
DAG_WITHIN_S = 90.0


class Ended(Fact):
    """How a run of a model ended."""

    model: str
    run: str
    outcome: Outcome
    sentence: str
    version: int | None
    champion: int | None
    log: str
    """Where to read what happened."""


class Asking(Fact):
    """A run that goes on when a person has answered it."""

    model: str
    run: str
    log: str
    waits_for: str = "approval"


def retrain(
    model: Annotated[str, typer.Argument(help="The model.")],
    *,
    local: Annotated[
        bool, typer.Option("--local", help="Run in this process, without a scheduler: for laptops and CI.")
    ] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Pretend that it is this time.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "",
    full_search: Annotated[bool, typer.Option("--full-search", help="Spend the whole search budget.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but promote.")] = False,
    unpause: Unpause = False,
    as_json: AsJson = False,
) -> None:
    """Retrain a model.

    Exit with 0: promoted, 1: broken, 3: declined, rejected or held, 4: data refused, 5: taken back, 6: people asked.
    """
    refuse_unpausing_locally(local=local, unpause=unpause)
    settings = deployment()
    load_model(settings.models_dir, model)
    moment = parse_moment(as_of, "--as-of").isoformat() if as_of else None
    conf = {
        "reason": reason or f"`understudy retrain` by {own_account()}",
        "as_of": moment,
        "full_search": full_search,
        "dry_run": dry_run,
    }
    if local:
        ended: Ended | Asking = _locally(settings, model, conf, as_json)
    else:
        ended = _remotely(settings, model, conf, unpause=unpause, as_json=as_json)
    if isinstance(ended, Asking):
        asking = ended
        answer(as_json, asking, lambda console: _page_of_asking(console, asking))
        raise typer.Exit(ASKING)
    answer(as_json, ended, lambda console: _page(console, ended))
    raise typer.Exit(EXIT_CODES[ended.outcome])


def _locally(settings: Settings, model: str, conf: dict[str, Any], as_json: bool) -> Ended:
    from understudy.embedded.local_run import run_locally
    from understudy.embedded.run_display import showing

    hooks().deployments.current(model)  # an unreadable ledger is told now, not after hours of training
    with showing(f"Retraining {model} in this process", quiet=as_json) as display:
        run, concluded, log = run_locally(settings, model, conf, display.update)
    return ended_of(model, run, concluded, str(log))


def _remotely(
    settings: Settings, model: str, conf: dict[str, Any], *, unpause: bool, as_json: bool
) -> "Ended | Asking":
    from understudy.embedded.airflow_api import AWAITS_PERSON
    from understudy.embedded.run_display import showing

    api = airflow(settings, ", or add --local to run without it")
    dag_id = f"{RETRAIN_PREFIX}{model}"
    with showing(f"Retraining {model} on {api.url}", quiet=as_json) as display:
        api.wait_for_dag(dag_id, DAG_WITHIN_S)
        if unpause:
            api.unpause(dag_id)
        run = api.trigger(dag_id, conf)
        state = api.follow(dag_id, run, display.update)
        concluded = None if state == AWAITS_PERSON else api.xcom(dag_id, run, "outcome")
    log = f"{api.url}/dags/{dag_id}/runs/{run}"
    return Asking(model=model, run=run, log=log) if state == AWAITS_PERSON else ended_of(model, run, concluded, log)


def ended_of(model: str, run: str, concluded: Any, log: str) -> Ended:
    """Read what the run's last task returned; a run without it is broken."""
    if not isinstance(concluded, dict):
        return Ended(
            model=model,
            run=run,
            outcome=Outcome.BROKEN,
            version=None,
            champion=None,
            log=log,
            sentence="the run ended before its outcome was told",
        )
    return Ended(model=model, run=run, log=log, **concluded)


def _page_of_asking(console: "Console", asking: Asking) -> None:
    console.print(f"WAITS: a version of {asking.model} passed and waits for an approval.", style="yellow")
    console.print(f"Answer with: understudy approve {asking.model} --reason …, or reject")
    console.print(f"What happened: {asking.log}")


def _page(console: "Console", ended: Ended) -> None:
    style = STYLES.get(ended.outcome, "yellow")
    words = ended.outcome.spoken.upper()
    console.print(f"{words}: {ended.sentence}", style=style)
    champion = f"version {ended.champion}" if ended.champion else "none"
    console.print(f"Champion of {ended.model}: {champion}. What happened: {ended.log}")
    if ended.version:
        console.print(f"Why: understudy ledger {ended.model} --why {ended.version}")
