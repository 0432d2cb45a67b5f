"""``understudy status``: what serves, since when, by whom and why."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import declared_models, hooks
from understudy.contract.declared import Fact
from understudy.contract.drill import DRILL_MODEL
from understudy.contract.errors import UnknownModel
from understudy.contract.serving import LabelAccounts
from understudy.contract.serving import ModelStatus as AtGateway
from understudy.contract.words import EntryKind, Outcome, Verdict
from understudy.hooks.holds import Hold
from understudy.settings import settings

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.hooks.connect import Hooks

ASK_S = 3.0


class LastRun(Fact):
    """How the newest run of a model ended."""

    at: datetime
    outcome: Outcome
    sentence: str
    run: str | None


class Served(Fact):
    """A version that served."""

    version: int
    since: datetime
    by: str
    why: str
    is_confirmed: bool
    data_version: str


class Replica(Fact):
    """What one place serves of a model: a gateway, or its own target."""

    gateway: str
    version: int | None
    epoch: int | None
    lag: int | None
    """How many records it is behind; 0 where it serves the newest, None where it does not tell."""
    labels: LabelAccounts | None = None
    """What became of the labels that it keeps."""
    problem: str | None = None
    unconfined: tuple[str, ...] = ()
    """For each version whose process cannot be held to everything there, to what it is not."""


class LastLook(Fact):
    """What the newest look at the champion's live data decided."""

    at: datetime
    verdict: Verdict
    is_due: bool
    sentence: str
    trouble: tuple[str, ...] = ()
    """What became of retrainings that looks asked for, where they did not begin or end well."""


class ModelStatus(Fact):
    """What there is to know about a model at a glance."""

    model: str
    is_declared: bool
    champion: Served | None
    previous: int | None
    """Where a rollback would go."""
    last_run: LastRun | None
    last_look: LastLook | None
    held: Hold | None
    """Who keeps its challengers from being promoted."""
    locked: dict[int, str]
    denied: dict[int, str]
    history: tuple[Served, ...]
    mirror: int | None = None
    """The version that answers the same requests unseen."""
    canary: int | None = None
    """The version that answers a share of the callers."""
    canary_share: float = 0.0
    replicas: tuple[Replica, ...] = ()
    """Where it is served; asked for one model only."""


def status(
    model: Annotated[str | None, typer.Argument(help="One model; all of them when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what serves, since when, by whom and why."""
    connected = hooks()
    declared = declared_models()
    known = sorted(
        {
            *declared,
            *(entry.model for entry in connected.ledger.entries(kinds=[EntryKind.DEPLOYED, EntryKind.CONCLUDED])),
        }
    )
    if model is not None and model not in known:
        raise UnknownModel(model, known, settings().models_dir)
    found = [_status_of(connected, name, name in declared) for name in known if model in (None, name)]
    if model is not None:
        found = [found[0].model_copy(update={"replicas": _replicas(connected, model)})]
    answer(as_json, found, lambda console: _table(console, found) if model is None else _page(console, found[0]))


def _status_of(connected: "Hooks", model: str, is_declared: bool) -> ModelStatus:
    from understudy.hooks.reigns import reigns

    deployments = connected.deployments
    history = tuple(
        Served(
            version=reign.champion.version,
            since=reign.at,
            by=reign.actor,
            why=reign.reason,
            is_confirmed=reign.is_confirmed,
            data_version=reign.champion.data_version,
        )
        for reign in reigns(deployments.history(model))
    )
    current = deployments.current(model)
    concluded = connected.ledger.entries(model, [EntryKind.CONCLUDED], limit=1, newest_first=True)
    last_run = (
        LastRun(
            at=concluded[0].at,
            outcome=Outcome(str(concluded[0].facts["outcome"])),
            sentence=concluded[0].reason,
            run=concluded[0].run,
        )
        if concluded
        else None
    )
    return ModelStatus(
        model=model,
        is_declared=is_declared,
        champion=history[-1] if history else None,
        previous=current.previous.version if current and current.previous else None,
        last_run=last_run,
        last_look=_last_look(connected, model),
        held=deployments.held(model),
        locked=deployments.locked(model),
        denied={denial.version: denial.reason for denial in deployments.denials(model) if denial.version is not None},
        history=history,
        mirror=current.mirror.version if current and current.mirror else None,
        canary=current.canary.version if current and current.canary else None,
        canary_share=current.canary_share if current else 0.0,
    )


def _last_look(connected: "Hooks", model: str) -> LastLook | None:
    from understudy.hooks.looks import retrainings, trouble_with

    past = retrainings(connected.ledger, model)
    if not past.looks:
        return None
    newest = past.looks[0]
    return LastLook(
        at=newest.at,
        verdict=newest.look.decision.judgement.verdict,
        is_due=newest.look.is_due,
        sentence=newest.look.decision.sentence,
        trouble=trouble_with(past, model, connected.settings),
    )


def _replicas(connected: "Hooks", model: str) -> tuple[Replica, ...]:
    from understudy.contract.serving import Lagging

    record = connected.deployments.current(model)
    places, terms = connected.served_now(model)
    if places is None or record is None or terms is None:
        return ()
    statuses = zip(places.names, places.status(model, ASK_S), strict=True)
    return tuple(
        Replica(gateway=name, version=None, epoch=None, lag=None, problem=status.problem)
        if isinstance(status, Lagging)
        else Replica(
            gateway=status.gateway if status.gateway == name else f"{status.gateway} ({name})",
            version=status.version,
            epoch=status.epoch,
            lag=record.epoch - status.epoch,
            labels=status.labels,
            problem=_problem_of(status),
            unconfined=status.unconfined,
        )
        for name, status in statuses
    )


def _problem_of(status: AtGateway) -> str | None:
    if status.broken_glass is not None:
        return status.broken_glass.notice
    return status.lapse.sentence if status.lapse is not None else status.log_problem


def _table(console: "Console", found: list[ModelStatus]) -> None:
    if not found:
        console.print("No model is declared yet. Start with: understudy init --data FILE --target COLUMN --time COLUMN")
        return
    from rich.table import Table

    table = Table("model", "champion", "since", "by", "rollback to", "last run", "last look", box=None, pad_edge=False)
    for status in found:
        champion, last = status.champion, status.last_run
        table.add_row(
            status.model + _aside(status),
            (f"version {champion.version}" + (" (locked)" if champion.version in status.locked else ""))
            if champion
            else "none yet",
            _moment(champion.since) if champion else "",
            champion.by if champion else "",
            f"version {status.previous}" if status.previous else "",
            f"{last.outcome} {_moment(last.at)}" if last else "never",
            _look_in_short(status.last_look),
        )
    console.print(table)


def _look_in_short(look: LastLook | None) -> str:
    if look is None:
        return ""
    said = "retraining due" if look.is_due else look.verdict.value
    return f"{said} {_moment(look.at)}" + (" (!)" if look.trouble else "")


def _page(console: "Console", status: ModelStatus) -> None:
    champion, last = status.champion, status.last_run
    if champion is None:
        console.print(
            f"{status.model} has no champion yet. Make one with: understudy retrain {status.model}", markup=False
        )
    else:
        lock = f", locked: {status.locked[champion.version]}" if champion.version in status.locked else ""
        console.print(
            f"{status.model}: version {champion.version} is champion since {_moment(champion.since)}{lock}",
            markup=False,
        )
        console.print(f"  by        {champion.by}: {champion.why}", markup=False)
        console.print(f"  confirmed {'yes' if champion.is_confirmed else 'not yet'}", markup=False)
        if status.mirror is not None:
            console.print(f"  mirror    version {status.mirror} answers the same requests unseen", markup=False)
        if status.canary is not None:
            console.print(
                f"  canary    version {status.canary} answers {status.canary_share:.3g} of the callers", markup=False
            )
        console.print(f"  data      {champion.data_version[:12]}", markup=False)
        console.print(
            f"  rollback  {f'to version {status.previous}' if status.previous else 'no other version to go back to'}",
            markup=False,
        )
    console.print(
        f"  last run  {f'{last.outcome} {_moment(last.at)}: {last.sentence}' if last else 'never'}", markup=False
    )
    if status.last_look is not None:
        console.print(f"  last look {_moment(status.last_look.at)}: {status.last_look.sentence}", markup=False)
        for sentence in status.last_look.trouble:
            console.print(f"  retrain   {sentence}", style="red", markup=False)
    for replica in status.replicas:
        console.print(f"  served at {_line(replica)}", markup=False)
    if status.held is not None:
        hold = status.held
        console.print(f"  held      by {hold.actor} since {_moment(hold.at)}: {hold.reason}", markup=False)
    for version, reason in status.denied.items():
        console.print(f"  denied    version {version}: {reason}", markup=False)
    for served in reversed(status.history[:-1]):
        console.print(
            f"  before    version {served.version} from {_moment(served.since)} by {served.by}: {served.why}",
            markup=False,
        )


def _line(replica: Replica) -> str:
    if replica.version is None or replica.lag is None:
        return f"{replica.gateway}: {replica.problem or 'serves nothing yet'}"
    lag = f", {replica.lag} behind" if replica.lag else ""
    problem = f"; {replica.problem}" if replica.problem else ""
    told = (
        f"{replica.gateway}: version {replica.version}, epoch {replica.epoch}{lag}{_in_short(replica.labels)}{problem}"
    )
    return "\n".join([told, *(f"            {sentence}" for sentence in replica.unconfined)])


def _in_short(labels: LabelAccounts | None) -> str:
    if labels is None or not labels.given:
        return ""
    counts = labels.model_dump(exclude={"given"})
    told = ", ".join(f"{count:,} {fate}" for fate, count in counts.items() if count)
    return f", labels: {told}"


def _moment(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M")


def _aside(status: ModelStatus) -> str:
    if status.model == DRILL_MODEL:
        return " (the rollback drill's sandbox)"
    held = " (held)" if status.held is not None else ""
    return held if status.is_declared else f" (not declared){held}"
