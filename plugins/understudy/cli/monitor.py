"""``understudy monitor``: one look at a model's live data, on the running Airflow or in this process."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.airflow_login import airflow
from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment, hooks
from understudy.cli.errors import BROKEN
from understudy.cli.ledger import parse_moment
from understudy.cli.retrain import DAG_WITHIN_S
from understudy.cli.unpause import Unpause, refuse_unpausing_locally
from understudy.contract.cause import MONITOR_PREFIX
from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.load import load_model
from understudy.contract.words import Trigger, Verdict
from understudy.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

DUE, BLIND = 6, 7
BROKE = "the look ended before it decided anything"


class NotMonitored(UnderstudyError):
    """A model does not declare how it is watched."""

    def __init__(self, model: str) -> None:
        super().__init__(f"model.yaml of {model!r} has no monitor section. Add one; `monitor: {{}}` is enough.")


class NobodyServes(UnderstudyError):
    """A model has no champion to look at."""

    def __init__(self, model: str) -> None:
        super().__init__(f"{model!r} has no champion yet. Make one with: understudy retrain {model}")


class Seen(Fact):
    """What a look decided."""

    model: str
    run: str
    sentence: str
    verdict: Verdict
    is_blind: bool
    is_due: bool
    reasons: tuple[Trigger, ...]
    held_back: str | None
    rolled_back_to: int | None
    ledger_seq: int | None
    """None where the look broke before anything was recorded."""
    log: str

    @property
    def exit_code(self) -> int:
        """Say what the command exits with."""
        if self.ledger_seq is None:
            return BROKEN
        return DUE if self.is_due else BLIND if self.is_blind else 0


def monitor(
    model: Annotated[str, typer.Argument(help="The model.")],
    *,
    local: Annotated[
        bool, typer.Option("--local", help="Look in this process, without a scheduler: for laptops and CI.")
    ] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Pretend that it is this time.")] = None,
    unpause: Unpause = False,
    as_json: AsJson = False,
) -> None:
    """Look at a champion's live data once; exit with 0 for nothing due, 6 a retraining, 7 nobody can say, 1 broken.

    A look with --local is recorded like any other, but its event reaches nobody: start the retraining yourself.
    """
    refuse_unpausing_locally(local=local, unpause=unpause)
    settings = deployment()
    if load_model(settings.models_dir, model).monitor is None:
        raise NotMonitored(model)
    if hooks().deployments.current(model) is None:
        raise NobodyServes(model)
    conf = {"as_of": parse_moment(as_of, "--as-of").isoformat() if as_of else None}
    if local:
        seen = _locally(settings, model, conf, as_json)
    else:
        seen = _remotely(settings, model, conf, unpause=unpause, as_json=as_json)
    answer(as_json, seen, lambda console: _page(console, seen, local=local))
    raise typer.Exit(seen.exit_code)


def _locally(settings: Settings, model: str, conf: dict[str, Any], as_json: bool) -> Seen:
    from understudy.embedded.local_run import MONITORING, run_locally
    from understudy.embedded.run_display import showing

    with showing(f"Looking at {model} in this process", quiet=as_json) as display:
        run, looked, log = run_locally(settings, model, conf, display.update, MONITORING)
    return seen_of(model, run, looked, str(log))


def _remotely(settings: Settings, model: str, conf: dict[str, Any], *, unpause: bool, as_json: bool) -> Seen:
    from understudy.embedded.run_display import showing

    api = airflow(settings, ", or add --local to look without it")
    dag_id = f"{MONITOR_PREFIX}{model}"
    with showing(f"Looking at {model} on {api.url}", quiet=as_json) as display:
        api.wait_for_dag(dag_id, DAG_WITHIN_S)
        if unpause:
            api.unpause(dag_id)
        run = api.trigger(dag_id, conf)
        api.follow(dag_id, run, display.update)
        looked = api.xcom(dag_id, run, "decide")
    return seen_of(model, run, looked, f"{api.url}/dags/{dag_id}/runs/{run}")


def seen_of(model: str, run: str, looked: Any, log: str) -> Seen:
    """Read what the look's last task returned; without it, nobody can say."""
    if isinstance(looked, dict):
        return Seen(model=model, run=run, log=log, **looked)
    return Seen(
        model=model,
        run=run,
        sentence=BROKE,
        verdict=Verdict.INCONCLUSIVE,
        is_blind=True,
        is_due=False,
        reasons=(),
        held_back=None,
        rolled_back_to=None,
        ledger_seq=None,
        log=log,
    )


def _page(console: "Console", seen: Seen, *, local: bool) -> None:
    style = "yellow" if seen.is_due or seen.is_blind else "green"
    console.print(seen.sentence, style=style)
    if seen.rolled_back_to is not None:
        console.print(f"Version {seen.rolled_back_to} of {seen.model} serves again.", style="red")
    if seen.is_due and local:
        console.print(f"Nothing listens in this process. Start it with: understudy retrain {seen.model}")
    console.print(f"What happened: {seen.log}")
