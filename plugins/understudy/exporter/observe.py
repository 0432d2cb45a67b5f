"""Turn what is known of all models into metrics."""

from collections.abc import Mapping
from datetime import datetime, timezone
from time import perf_counter
from typing import NamedTuple

from understudy import __version__
from understudy.contract.alerts.cause import AGE_GATE
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.retrainings import Look
from understudy.contract.words import Change, EntryKind, Outcome, Verdict
from understudy.exporter import measures as m
from understudy.exporter.census import Census
from understudy.exporter.chain import ChainWatch
from understudy.exporter.declarations import Declarations
from understudy.exposition import Exposition
from understudy.hooks.alerting.life import AlertLife, alert_life
from understudy.hooks.ledger.tally import Told
from understudy.hooks.locks import locks_in

FAILURES = {Outcome.BROKEN.value, Outcome.DATA_REFUSED.value}

Newest = Mapping[EntryKind, LedgerEntry]


class Known(NamedTuple):
    """Hold where numbers come from."""

    census: Census
    chain: ChainWatch
    declarations: Declarations


def observe(known: Known) -> Exposition:
    """Read what is new and show everything; a ledger that does not answer is itself a number."""
    shown = Exposition(m.MEASURES)
    shown.put(m.INFO, 1, __version__)
    started = perf_counter()
    try:
        known.census.catch_up()
        alerting = alert_life(known.census.ledger, datetime.now(timezone.utc))
    except UnderstudyError:
        # What was known before would look as if it were true now.
        shown.put(m.LEDGER_READABLE, 0)
    else:
        shown.put(m.LEDGER_READABLE, 1)
        shown.put(m.LEDGER_ENTRIES, known.census.size)
        _observe_census(shown, known.census)
        _observe_alerting(shown, alerting)
        shown.put(m.READ_DURATION, perf_counter() - started)
    if known.chain.check is not None and known.chain.at is not None:
        shown.put(m.CHAIN_INTACT, known.chain.check.ok)
        shown.put(m.CHAIN_VERIFIED, known.chain.at.timestamp())
    _observe_declarations(shown, known.declarations)
    return shown


def _observe_census(shown: Exposition, census: Census) -> None:
    for model, newest in census.entries.newest.items():
        if model == DRILL_MODEL:
            _observe_drill(shown, newest)
            continue
        if model in census.records:
            founding = census.entries.founding.get(model, newest[EntryKind.DEPLOYED])
            locked = locks_in(census.entries.standing.get(model, []))
            _observe_champion(shown, census.records[model], founding, locked)
        _observe_retraining(shown, model, newest)
        if model in census.looks:
            _observe_look(shown, census.looks[model], newest[EntryKind.MONITORED])
        _observe_people(shown, model, newest)
    _observe_counts(shown, census)


def _observe_champion(shown: Exposition, record: Deployment, founding: LedgerEntry, locked: Mapping[int, str]) -> None:
    model, version = record.model, record.champion.version
    shown.put(m.CHAMPION, 1, model, version)
    shown.put(m.CHAMPION_SINCE, founding.at.timestamp(), model)
    shown.put(m.EPOCH, record.epoch, model)
    shown.put(m.MIRRORED, record.mirror is not None, model)
    shown.put(m.CANARY, record.canary is not None, model)
    shown.put(m.LOCKED, version in locked, model)


def _observe_retraining(shown: Exposition, model: str, newest: Newest) -> None:
    began, ended, looked = (
        newest.get(kind) for kind in (EntryKind.TRIGGERED, EntryKind.CONCLUDED, EntryKind.MONITORED)
    )
    if ended is not None:
        shown.put(m.RETRAINING_END, ended.at.timestamp(), model)
        shown.put(m.RETRAINING_FAILED, ended.facts.get("outcome") in FAILURES, model)
    if EntryKind.JUDGED in newest:
        shown.put(m.RETRAINING_SUCCESS, newest[EntryKind.JUDGED].at.timestamp(), model)
    if began is not None and (ended is None or ended.seq < began.seq):
        shown.put(m.RETRAINING_RUNNING, began.at.timestamp(), model)
    if looked is not None and looked.facts.get("is_due") and (began is None or began.seq < looked.seq):
        shown.put(m.RETRAINING_DUE, looked.at.timestamp(), model)


def _observe_look(shown: Exposition, look: Look, entry: LedgerEntry) -> None:
    model, judgement = entry.model, look.decision.judgement
    shown.put(m.LOOK_AT, entry.at.timestamp(), model)
    shown.put(m.LOOK_BLIND, look.is_blind, model)
    for verdict in Verdict:
        shown.put(m.LOOK_VERDICT, verdict is judgement.verdict, model, verdict)
    age = next((answer.verdict for answer in judgement.results if answer.gate == AGE_GATE), None)
    if age in {Verdict.PASSED, Verdict.FAILED}:  # an age that nobody knows is no zero
        shown.put(m.STALE, age is Verdict.FAILED, model)


def _observe_people(shown: Exposition, model: str, newest: Newest) -> None:
    held, released = newest.get(EntryKind.HELD), newest.get(EntryKind.RELEASED)
    shown.put(m.HELD, held is not None and (released is None or released.seq < held.seq), model)
    asked = newest.get(EntryKind.APPROVAL_ASKED)
    if asked is not None and not any(
        answer is not None and answer.seq > asked.seq
        for answer in (newest.get(EntryKind.APPROVAL_ANSWERED), newest.get(EntryKind.CONCLUDED))
    ):
        shown.put(m.APPROVAL_SINCE, asked.at.timestamp(), model)


def _observe_counts(shown: Exposition, census: Census) -> None:
    for told, count in _of_models(census.outcomes.counts):
        shown.put(m.RETRAININGS, count, told.model, told.value)
    for told, count in _of_models(census.verdicts.counts):
        shown.put(m.VERDICTS, count, told.model, told.kind, told.value)
    for told, count in _of_models(census.changes.counts):
        if told.value == Change.ROLLBACK.value:
            shown.put(m.ROLLBACKS, count, told.model)


def _of_models(counts: Mapping[Told, int]) -> list[tuple[Told, int]]:
    return [(told, count) for told, count in counts.items() if told.model != DRILL_MODEL]


def _observe_drill(shown: Exposition, newest: Newest) -> None:
    drilled = newest.get(EntryKind.DRILLED)
    if drilled is not None:
        shown.put(m.DRILL_AT, drilled.at.timestamp())
        shown.put(m.DRILL_PASSED, drilled.facts.get("verdict") == Verdict.PASSED.value)


def _observe_alerting(shown: Exposition, life: AlertLife) -> None:
    shown.put(m.ALERTS_WAITING, life.waiting)
    for metric, moment in ((m.SWEPT_AT, life.swept_at), (m.ALERTS_OLDEST, life.oldest_at)):
        if moment is not None:
            shown.put(metric, moment.timestamp())


def _observe_declarations(shown: Exposition, declarations: Declarations) -> None:
    for model, terms in declarations.terms.items():
        shown.put(m.SPEC_BROKEN, terms.is_broken, model)
        if terms.is_broken:
            continue
        shown.put(m.DECLARED, 1, model, terms.owner)
        for metric, seconds in (
            (m.LOOK_INTERVAL, terms.look_interval_s),
            (m.MAX_AGE, terms.max_age_s),
            (m.TIMEOUT, terms.timeout_s),
        ):
            if seconds is not None:
                shown.put(metric, seconds, model)
