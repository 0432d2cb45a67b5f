"""What there is to know about a model: what serves, how it came about, and what each place says of it."""

from datetime import datetime
from typing import TYPE_CHECKING

from understudy.contract.declared import Fact
from understudy.contract.serving import LabelAccounts
from understudy.contract.serving import ModelStatus as AtGateway
from understudy.contract.words import EntryKind, Outcome, Verdict
from understudy.hooks.holds import Hold
from understudy.overview.glance import Glance, Health
from understudy.overview.troubles import Trouble

if TYPE_CHECKING:
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
    """What the process of each version is not held to, where it cannot be held to everything."""


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
    health: Health
    """Whether a person should look, as far as the ledger and the declarations tell; Airflow knows more."""
    troubles: tuple[Trouble, ...]
    unseen: str
    """Why no look vouches for what serves; empty where one does, and where none is asked for."""
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


def status_of(connected: "Hooks", seen: Glance) -> ModelStatus:
    """Read from the ledger all there is to know about a model that was seen at a glance."""
    from understudy.hooks.reigns import reigns

    deployments, model = connected.deployments, seen.model
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
        is_declared=seen.is_declared,
        health=seen.health,
        troubles=seen.troubles,
        unseen=seen.unseen,
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


def replicas_of(connected: "Hooks", model: str) -> tuple[Replica, ...]:
    """Ask each place what it serves of a model."""
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


def _problem_of(status: AtGateway) -> str | None:
    if status.broken_glass is not None:
        return status.broken_glass.notice
    return status.lapse.sentence if status.lapse is not None else status.log_problem
