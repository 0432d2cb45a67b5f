"""What is wrong without any ledger entry that says so: it stands until it is repaired, and is told when it begins."""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from understudy.contract.breach import breach_in
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import DRILL_MODEL, format_duration
from understudy.contract.errors import SpecProblem, UnknownModel
from understudy.contract.load import declared, read_model
from understudy.contract.moment import moment
from understudy.contract.read_facts import read_as, whole_number
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import AlertKind, Change, EntryKind
from understudy.hooks.alerting.condition import Condition
from understudy.hooks.conditions.known_runs import FAILED, KnownRuns
from understudy.hooks.conditions.missed_schedules import missed_schedules
from understudy.hooks.conditions.open_breaches import left_serving
from understudy.hooks.connect import Hooks
from understudy.trust import trust_for

CONFIRM_WITHIN = timedelta(minutes=5)
"""How soon a rollback has to be confirmed by every place that serves the model."""
RUNS_LOOKED_AT = 2_000
ANSWER_S = 5.0
TRIES = 3
PAUSE_S = 2.0
"""Between two tries: one that restarts listens again within a few seconds."""


def conditions(hooks: Hooks, now: datetime, runs: KnownRuns) -> list[Condition]:
    """Look for everything that is wrong now.

    :param runs: answers what Airflow knows of its runs.
    """
    specs, broken = _declarations(hooks.settings.models_dir)
    return [
        *broken,
        *_gateways(hooks.settings.gateway_urls),
        *missed_schedules(hooks, specs, now, runs),
        *_stale(hooks, specs, now),
        *_unconfirmed(hooks, now),
        *left_serving(hooks, now, runs),
        *broken_runs(hooks, runs),
    ]


def broken_runs(hooks: Hooks, runs: KnownRuns) -> Iterable[Condition]:
    """Find retrainings that Airflow has failed and that never said how they ended: killed, or out of time."""
    told = hooks.ledger.entries(
        kinds=[EntryKind.TRIGGERED, EntryKind.CONCLUDED], limit=RUNS_LOOKED_AT, newest_first=True
    )
    ended = {(entry.model, entry.run) for entry in told if entry.kind is EntryKind.CONCLUDED}
    for entry in told:
        dag_id, run_id = entry.facts.get("dag_id"), entry.facts.get("run_id")
        if (entry.model, entry.run) in ended or not isinstance(dag_id, str) or not isinstance(run_id, str):
            continue
        # One that found out that its champion had to go ends with the rollback, or with what kept it from happening.
        if runs.state(dag_id, run_id) == FAILED and not breach_in(_guarded(hooks, entry)):
            yield Condition(
                # As of a run that does say how it ended, so that neither is told after the other.
                name=f"{AlertKind.RUN_BROKEN}/{entry.model}/{entry.run}",
                kind=AlertKind.RUN_BROKEN,
                model=entry.model,
                sentence=f"{entry.model}: the run {run_id} of {dag_id} failed before it could say why",
                seq=entry.seq,
                is_final=True,
            )


def _guarded(hooks: Hooks, begun: LedgerEntry) -> list[LedgerEntry]:
    return hooks.ledger.entries(begun.model, [EntryKind.GUARDED], run=begun.run)


def _declarations(models_dir: Path) -> tuple[list[tuple[ModelSpec, Path]], list[Condition]]:
    specs, broken = [], []
    for path in declared(models_dir):
        model = path.parent.name
        try:
            specs.append((read_model(models_dir, model), path))
        except (SpecProblem, UnknownModel) as problem:
            broken.append(
                Condition(
                    name=f"{AlertKind.SPEC_BROKEN}/{model}",
                    kind=AlertKind.SPEC_BROKEN,
                    model=model,
                    sentence=f"{model}: its declaration cannot be used: {problem}",
                )
            )
    return specs, broken


def _gateways(urls: Iterable[str]) -> Iterable[Condition]:
    for url in urls:
        problem = _silence_of(url)
        if problem is not None:
            yield Condition(
                name=f"{AlertKind.GATEWAY_DEAD}/{url}",
                kind=AlertKind.GATEWAY_DEAD,
                model="",
                sentence=f"the gateway {url} does not answer ({problem})",
            )


def _silence_of(url: str) -> str | None:
    """Ask a gateway whether it is there; say why not after some tries, because one that restarts is back soon."""
    import httpx

    problem = None
    # A company's proxy knows no gateway of this deployment.
    with httpx.Client(timeout=ANSWER_S, trust_env=False, verify=trust_for(url)) as client:
        for tried in range(TRIES):
            if tried:
                time.sleep(PAUSE_S)
            try:
                client.get(f"{url}/health").raise_for_status()
            except (httpx.HTTPError, httpx.InvalidURL) as silent:
                problem = type(silent).__name__
            else:
                return None
    return problem


def _stale(hooks: Hooks, specs: Iterable[tuple[ModelSpec, Path]], now: datetime) -> Iterable[Condition]:
    """Find champions that are older than they may be and that no look watches; the looks tell of the others."""
    asked = {spec.model: spec.retrain.max_age for spec, _ in specs if spec.retrain.max_age and spec.monitor is None}
    for record in hooks.deployments.all_current():
        max_age = asked.get(record.model)
        if max_age is None:
            continue
        history = hooks.deployments.history(record.model)
        since = next((one.at for one in history if one.deployment.epoch == record.champion_since), None)
        if since is not None and now - since > max_age:
            yield Condition(
                name=f"{AlertKind.CHAMPION_STALE}/{record.model}/{record.champion_since}",
                kind=AlertKind.CHAMPION_STALE,
                model=record.model,
                sentence=f"{record.model}: version {record.champion.version} is champion since "
                f"{moment(since)}; {format_duration(max_age)} is allowed",
            )


def _unconfirmed(hooks: Hooks, now: datetime) -> Iterable[Condition]:
    """Find rollbacks that are recorded and that not every place serves."""
    confirmed = {entry.model: whole_number(entry.facts.get("epoch")) for entry in _newest(hooks, EntryKind.CONFIRMED)}
    for entry in _newest(hooks, EntryKind.DEPLOYED):
        record = read_as(Deployment, entry.facts.get("deployment"))
        if record is None or record.change is not Change.ROLLBACK or now - entry.at < CONFIRM_WITHIN:
            continue
        if (confirmed.get(record.model) or 0) < record.epoch:
            yield Condition(
                name=f"{AlertKind.ROLLBACK_FAILED}/{record.model}/epoch {record.epoch}",
                kind=AlertKind.ROLLBACK_FAILED,
                model=record.model,
                sentence=f"{record.model}: the rollback to version {record.champion.version} is recorded, and not "
                "every place that serves it has confirmed it",
                seq=entry.seq,
            )


def _newest(hooks: Hooks, kind: EntryKind) -> list[LedgerEntry]:
    return [entry for entry in hooks.ledger.newest(kind) if entry.model != DRILL_MODEL]
