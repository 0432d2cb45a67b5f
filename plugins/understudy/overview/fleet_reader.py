"""Read what the fleet's page needs: a few queries, whatever the number of models, and only what is new."""

import logging
from functools import lru_cache
from threading import Lock, Thread

from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.errors import UnderstudyError
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.hooks.holds import HOLDING, hold_in
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.ledger.newest_entries import NewestEntries
from understudy.hooks.ledger.tally import newest_seq
from understudy.hooks.locks import locks_in
from understudy.overview.airflow_state import Airflow
from understudy.overview.glance import NEWEST, Glance, Recorded, glance

LOG = logging.getLogger(__name__)
STANDING = (EntryKind.LOCKED, EntryKind.UNLOCKED, *HOLDING)
"""Kinds of which every entry counts."""


class FleetReader:
    """Remember the newest entries of every model."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._entries = NewestEntries(ledger, NEWEST, STANDING)
        self._lock = Lock()

    def catch_up(self) -> None:
        """Read what is new. Raise LedgerUnavailable or LedgerDamaged."""
        with self._lock:
            self._entries.catch_up(newest_seq(self.ledger))

    def glances(self, airflow: Airflow) -> list[Glance]:
        """Read every model that Airflow or the ledger knows."""
        self.catch_up()
        with self._lock:
            declared = {dag.removeprefix(RETRAIN_PREFIX) for dag in airflow.dags if dag.startswith(RETRAIN_PREFIX)}
            known = sorted(declared | set(self._entries.newest))
            return [glance(model, self._recorded(model), airflow) for model in known]

    def glance(self, model: str, airflow: Airflow) -> Glance | None:
        """Read one model; None where neither Airflow nor the ledger knows it."""
        self.catch_up()
        with self._lock:
            is_known = model in self._entries.newest or airflow.has(f"{RETRAIN_PREFIX}{model}")
            return glance(model, self._recorded(model), airflow) if is_known else None

    def _recorded(self, model: str) -> Recorded:
        standing = self._entries.standing.get(model, [])
        locked = locks_in([entry for entry in standing if entry.kind not in HOLDING])
        hold = hold_in([entry for entry in reversed(standing) if entry.kind in HOLDING])
        held = (f"held by {hold.actor}: {hold.reason}",) if hold else ()
        return Recorded(
            newest=self._entries.newest.get(model, {}),
            founding=self._entries.founding.get(model),
            notes=(*held, *(f"version {version} is locked: {reason}" for version, reason in sorted(locked.items()))),
        )


@lru_cache(maxsize=1)
def fleet_reader() -> FleetReader:
    """Give the reader of this process."""
    return FleetReader(connect().ledger)


@lru_cache(maxsize=1)
def read_ahead() -> Thread:
    """Begin to read the ledger in a thread of its own, once in a process: its whole past takes a second or more."""
    thread = Thread(target=_read_ahead, name="read-ahead", daemon=True)
    thread.start()
    return thread


def _read_ahead() -> None:
    try:
        fleet_reader().catch_up()
    except UnderstudyError as unreadable:
        LOG.warning("The ledger was not read ahead of the first page, which will say so itself: %s", unreadable)
