"""Look at a gateway for Prometheus, without holding up who waits for an answer."""

import asyncio
from collections import Counter
from math import nan

from understudy import __version__
from understudy.contract.words import Role
from understudy.exposition import Exposition
from understudy.gateway import measures as m
from understudy.gateway.health import gateway_health
from understudy.gateway.lineup import Lineup
from understudy.gateway.roster import Roster
from understudy.gateway.served_model import ServedModel

MODELS_AT_ONCE = 20


async def observe(roster: Roster) -> Exposition:
    """Measure everything, a few models at a time."""
    shown = Exposition(m.MEASURES)
    _observe_gateway(shown, roster)
    for number, model in enumerate([one for name, one in roster.models.items() if roster.find(name) is not None], 1):
        _observe_model(shown, model)
        if number % MODELS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return shown


def _observe_gateway(shown: Exposition, roster: Roster) -> None:
    health = gateway_health(roster)
    shown.put(m.INFO, 1, roster.config.name, __version__)
    shown.put(m.HEALTHY, health.status == "ok")
    shown.put(m.TRUTH_AGE, nan if health.truth.age_s is None else health.truth.age_s)
    shown.put(m.TRUTH_READ, health.truth.problem is None)
    for status, count in roster.turned_away.items():
        shown.put(m.TURNED_AWAY, count, status)
    for peer, count in roster.relay.refused.items():
        shown.put(m.LABELS_NOT_TAKEN, count, peer)


def _observe_model(shown: Exposition, model: ServedModel) -> None:
    name, record, lineup = model.name, model.in_force, model.lineup
    shown.put(m.SERVING, model.is_serving, name)
    shown.put(m.EPOCH, record.epoch if record is not None else 0, name)
    shown.put(m.BROKEN_GLASS, model.glasses.unreported is not None, name)
    shown.put(m.MIRROR_SHARE, record.mirror_share if record is not None and record.mirror is not None else 0, name)
    shown.put(m.CANARY_SHARE, record.canary_share if record is not None else 0, name)
    shown.put(m.QUEUED, len(lineup.queue), name)
    shown.put(m.QUEUE_LIMIT, lineup.max_queue, name)
    _observe_traffic(shown, model)
    _observe_workers(shown, name, lineup)
    _observe_log(shown, model)


def _observe_traffic(shown: Exposition, model: ServedModel) -> None:
    name, traffic = model.name, model.traffic
    warm = {channel.bundle.version for channel in model.lineup.channels.values()}
    for status, count in traffic.requests.items():
        shown.put(m.REQUESTS, count, name, status)
    for (role, version, status), count in traffic.answers.items():
        if version in warm:
            shown.put(m.ANSWERS, count, name, role, version, status)
    for (role, version, loss), count in traffic.losses.items():
        if version in warm:
            shown.put(m.LOST, count, name, role, version, loss)
    for role, durations in traffic.durations.items():
        shown.put_durations(m.DURATION, durations, name, role)


def _observe_workers(shown: Exposition, name: str, lineup: Lineup) -> None:
    """Add up what is there twice: while a version's terms change, the old process answers and the new one loads."""
    ready: Counter[tuple[Role, int]] = Counter()
    restarts: Counter[tuple[Role, int]] = Counter()
    queued: Counter[tuple[Role, int]] = Counter()
    rss_bytes: Counter[tuple[Role, int]] = Counter()
    isolation: dict[tuple[Role, int], str] = {}
    for channel in lineup.channels.values():
        who = lineup.role_of(channel), channel.bundle.version
        ready[who] += channel.worker is not None
        restarts[who] += channel.restarts
        queued[who] += channel.waiting
        if channel.worker is not None:
            rss_bytes[who] += channel.worker.rss_bytes() or 0
            isolation[who] = "process" if channel.worker.running.container is None else "container"
    for metric, counts in (
        (m.WORKER_READY, {who: min(count, 1) for who, count in ready.items()}),
        (m.WORKER_RESTARTS, restarts),
        (m.WORKER_QUEUED, queued),
        (m.WORKER_MEMORY, rss_bytes),
    ):
        for (role, version), count in counts.items():
            shown.put(metric, count, name, role, version)
    for (role, version), where in isolation.items():
        shown.put(m.WORKER_ISOLATION, 1, name, role, version, where)


def _observe_log(shown: Exposition, model: ServedModel) -> None:
    name = model.name
    shown.put(m.LABELS_TAKEN, model.traffic.labels, name)
    if model.labels is not None:
        for fate, count in model.labels.accounts.model_dump(exclude={"given"}).items():
            shown.put(m.LABELS, count, name, fate)
    if model.log is None:
        return
    log = model.log.health
    shown.put(m.LOG_FAILING, log.problem is not None, name)
    shown.put(m.LOG_LAG, log.lag_s, name)
    shown.put(m.LOG_QUEUED, log.queued, name)
    shown.put(m.LOG_WRITTEN, log.written, name)
    shown.put(m.LOG_LOST, log.lost, name)
