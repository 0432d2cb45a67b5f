"""What a gateway says of itself to anybody who asks."""

from datetime import datetime, timezone

from pydantic import Field

from understudy.contract.confinement import unconfined_sentence
from understudy.contract.declared import Fact
from understudy.contract.moment import moment_to_the_second
from understudy.contract.serving import LabelAccounts, ModelStatus, TruthReport, WorkerStatus
from understudy.gateway.log.prediction_log import LogHealth
from understudy.gateway.roster import Roster
from understudy.gateway.served_model import ServedModel

TRUTH_S = 30.0


class ModelHealth(Fact):
    """Say how one model does."""

    epoch: int
    version: int | None
    mirror: int | None
    canary: int | None
    canary_share: float
    """The share of the callers' keys that the canary answers."""
    canary_left_s: float | None
    """How many seconds until it answers nobody, unless somebody comes by who could end it."""
    problems: tuple[str, ...] = ()
    unconfined: tuple[str, ...] = ()
    """What the process of each version is not held to, where this machine cannot hold it to everything."""
    refused: int
    """Requests that there was no room for, or nobody to answer."""
    log: LogHealth | None
    labels: LabelAccounts | None
    """Labels by what became of them, as last counted; None before the first time."""


class TruthHealth(Fact):
    """Say how old the news of the truth is."""

    age_s: float | None
    problem: str | None


class GatewayHealth(Fact):
    """Say how a gateway does; ``degraded`` where anything is not as it should be."""

    status: str
    name: str
    models: dict[str, ModelHealth] = Field(default_factory=dict)
    turned_away: dict[int, int] = Field(default_factory=dict)
    """Requests that reached no model and so are in no prediction log, by the status of their refusal."""
    labels_not_taken: dict[str, int] = Field(default_factory=dict)
    """Batches of labels that a replica did not take from this one, by its address; their senders were told."""
    truth: TruthHealth


def gateway_health(roster: Roster) -> GatewayHealth:
    """Look at everything."""
    models = {name: _model_health(model) for name, model in roster.models.items() if roster.find(name) is not None}
    truth = _truth_health(roster.truth, roster.truth_at)
    is_well = truth.problem is None and not any(model.problems for model in models.values())
    return GatewayHealth(
        status="ok" if is_well else "degraded",
        name=roster.config.name,
        models=models,
        turned_away=dict(roster.turned_away),
        labels_not_taken=dict(roster.relay.refused),
        truth=truth,
    )


def model_status(gateway: str, model: ServedModel) -> ModelStatus:
    """Describe a model with the processes that are kept for it."""
    log = None if model.log is None else model.log.health
    return ModelStatus(
        gateway=gateway,
        model=model.name,
        epoch=model.in_force.epoch if model.in_force is not None and model.is_serving else 0,
        version=model.in_force.champion.version if model.in_force is not None and model.is_serving else None,
        canary=model.in_force.canary.version if model.in_force is not None and model.in_force.canary else None,
        canary_share=model.in_force.canary_share if model.in_force is not None else 0.0,
        workers=tuple(
            WorkerStatus(
                version=channel.bundle.version,
                role=model.lineup.role_of(channel),
                pid=channel.worker.running.pid if channel.worker is not None else None,
                container=channel.worker.running.container if channel.worker is not None else None,
                is_ready=channel.worker is not None,
                restarts=channel.restarts,
                rss_bytes=channel.worker.rss_bytes() if channel.worker is not None else None,
                queued=channel.waiting + (len(channel.queue) if channel.is_front else 0),
                problem=channel.problem,
                not_held=channel.worker.not_held if channel.worker is not None else (),
            )
            for channel in model.lineup.channels.values()
        ),
        log_problem=log.problem if log is not None else None,
        rows_lost=log.lost if log is not None else 0,
        labels=model.labels.accounts if model.labels is not None else None,
        broken_glass=model.glasses.unreported,
        lapse=model.lease.lapses[-1] if model.lease.lapses else None,
    )


def _model_health(model: ServedModel) -> ModelHealth:
    log = None if model.log is None else model.log.health
    problems = [model.problem] if model.problem else []
    for channel in model.lineup.channels.values():
        if channel.problem is not None:
            problems.append(f"version {channel.bundle.version} ({model.lineup.role_of(channel)}): {channel.problem}")
        elif channel.worker is None:
            problems.append(f"version {channel.bundle.version} ({model.lineup.role_of(channel)}) is being loaded")
    if log is not None and log.problem is not None:
        problems.append(log.problem)
    if (glass := model.glasses.unreported) is not None:
        # Who and why is for those who hold the token.
        problems.append(
            f"version {glass.taken_back.version} was taken back here by break-glass at "
            f"{moment_to_the_second(glass.at)}, and the ledger does not know it yet"
        )
    problems += [lapse.sentence for lapse in model.lease.lapses]
    record = model.in_force
    return ModelHealth(
        epoch=record.epoch if record is not None else 0,
        version=record.champion.version if record is not None else None,
        mirror=record.mirror.version if record is not None and record.mirror is not None else None,
        canary=record.canary.version if record is not None and record.canary is not None else None,
        canary_share=record.canary_share if record is not None else 0.0,
        canary_left_s=model.lease.left_s if record is not None and record.canary is not None else None,
        problems=tuple(problems),
        unconfined=_unconfined(model),
        refused=model.intake.refused,
        log=log,
        labels=model.labels.accounts if model.labels is not None else None,
    )


def _unconfined(model: ServedModel) -> tuple[str, ...]:
    return tuple(
        unconfined_sentence(channel.bundle.version, model.lineup.role_of(channel), channel.worker.not_held)
        for channel in model.lineup.channels.values()
        if channel.worker is not None and channel.worker.not_held
    )


def _truth_health(report: TruthReport | None, arrived: datetime | None) -> TruthHealth:
    if report is None or arrived is None:
        return TruthHealth(age_s=None, problem="no follower has reported since this gateway started")
    age_s = (datetime.now(timezone.utc) - arrived).total_seconds()
    if report.problem is None and age_s > TRUTH_S:
        return TruthHealth(age_s=age_s, problem="the follower has not reported for more than 30 s")
    return TruthHealth(age_s=age_s, problem=report.problem)
